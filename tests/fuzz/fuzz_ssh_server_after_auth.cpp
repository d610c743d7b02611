// A server that exchanges keys as it should, and then says anything at all. The input is a program:
// a byte says what happens next, a message from the server (its text follows) or something that the
// client does. The first byte says whether the login is the fuzzer's business, too.
#include "../ssh/packet_server.hpp"
#include "client.hpp"
#include "input.hpp"

#include <muster/ssh/private_key.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using namespace muster::ssh;
using namespace muster::ssh::detail;

namespace {

const PrivateKey& identity() {
    static const PrivateKey key = PrivateKey::parse(
        muster::Secret("-----BEGIN PRIVATE KEY-----\n"
                       "MC4CAQAwBQYDK2VwBCIEIKm9ZzZcW1uR8QkP1S5pO0y2yXQ4h0b0Jv2c9mVQzB1S\n"
                       "-----END PRIVATE KEY-----\n"));
    return key;
}

class Conversation {
public:
    explicit Conversation(FuzzInput input) : input_(input) {}

    void run() {
        const std::uint8_t login = input_.byte();
        server_.on_message = [this, login](std::string_view payload) {
            if (login == 0) {
                server_.let_in(payload);
            }
        };
        client_.begin([this] { return client_.engine.handshake(); });
        settle();
        client_.begin([this] { return client_.engine.list_methods("ops", methods_); });
        settle();
        begin_login(login);
        settle();
        // Long inputs find nothing that short ones do not.
        for (int steps = 0; steps < 64 && !input_.empty(); ++steps) {
            act(input_.byte());
            settle();
        }
        client_.engine.receive_eof("end of the input");
    }

private:
    void begin_login(std::uint8_t kind) {
        switch (kind % 4) {
        case 1:
            client_.begin(
                [this] { return client_.engine.login_password("ops", secret_, change_); });
            break;
        case 2:
            client_.begin([this] { return client_.engine.login_interactive("ops", answerer_); });
            break;
        case 3:
            client_.begin([this] { return log_in_with_key(); });
            break;
        default:
            break;
        }
    }

    int log_in_with_key() {
        const int code = client_.engine.login_key("ops", identity().public_key(), request_);
        if (code != signature_wanted) {
            return code;
        }
        request_.signature = identity().sign(request_.algorithm, request_.data);
        return client_.engine.login_key("ops", identity().public_key(), request_);
    }

    void act(std::uint8_t action) {
        Engine& engine = client_.engine;
        switch (action % 16) {
        case 0:
            client_.begin([&engine, this] { return engine.open_channel(next_channel()); });
            break;
        case 1:
            client_.begin([&engine, this] { return engine.open_tunnel(next_channel(), "r1", 22); });
            break;
        case 2:
            on_channel([&](EngineChannel& c) { return engine.request_pty(c, "vt100", 80, 24); });
            break;
        case 3:
            on_channel([&](EngineChannel& c) { return engine.request_start(c, "exec", "x"); });
            break;
        case 4:
            on_channel([&](EngineChannel& c) { return engine.set_env(c, "LANG", "C"); });
            break;
        case 5:
            on_channel([&](EngineChannel& c) { return engine.write(c, "input"); });
            break;
        case 6:
            on_channel([&](EngineChannel& c) { return engine.send_eof(c); });
            break;
        case 7:
            on_channel([&](EngineChannel& c) { return engine.close_channel(c); });
            break;
        case 8:
            engine.send_keepalive();
            break;
        case 9:
            server_.renew_keys();
            break;
        case 10:
            chunk_ = input_.byte();
            break;
        case 11:
            client_.begin([&engine] { return engine.disconnect(); });
            break;
        default:
            server_.send(input_.text());
            break;
        }
    }

    EngineChannel*& next_channel() {
        if (opened_ + 1 < channels_.size() && channels_[opened_] != nullptr) {
            ++opened_;
        }
        return channels_[opened_];
    }

    template <class Step>
    void on_channel(Step step) {
        if (EngineChannel* channel = channels_[opened_]) {
            client_.begin([channel, step] { return step(*channel); });
        }
    }

    void settle() { client_.talk_to(server_, chunk_); }

    FuzzInput input_;
    PacketServer server_;
    std::vector<std::string> methods_;
    muster::Secret secret_ = "secret";
    PasswordChange change_{secret_};
    SignRequest request_;
    Answerer answerer_ = [this](const Challenge& challenge) {
        return std::optional(std::vector<muster::Secret>(challenge.prompts.size(), secret_));
    };
    std::array<EngineChannel*, 3> channels_{};
    std::size_t opened_ = 0;
    std::size_t chunk_ = 0;
    FuzzClient client_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Conversation(FuzzInput(data, size)).run();
    return 0;
}
