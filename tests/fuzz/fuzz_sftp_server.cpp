// A server whose SSH is in order and whose SFTP is anything at all. The input is a program: a byte
// says what happens next, an answer from the server (its text follows) or a call of the client.
#include "../ssh/packet_server.hpp"
#include "client.hpp"
#include "input.hpp"
#include "ssh/sftp_engine.hpp"
#include "ssh/wire.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace muster::ssh;
using namespace muster::ssh::detail;

namespace {

class Conversation {
public:
    explicit Conversation(FuzzInput input) : input_(input) {}

    void run() {
        greets_ = input_.byte() == 0;
        server_.on_message = [this](std::string_view payload) {
            if (!server_.let_in(payload)) {
                answer(payload);
            }
        };
        client_.begin([this] { return client_.engine.handshake(); });
        settle();
        client_.begin([this] { return client_.engine.list_methods("ops", methods_); });
        settle();
        client_.begin([this] { return sftp_.open(); });
        settle();
        // Long inputs find nothing that short ones do not.
        for (int steps = 0; steps < 64 && !input_.empty(); ++steps) {
            act(input_.byte());
            settle();
        }
        client_.begin([this] { return sftp_.shutdown(); });
        settle();
        client_.engine.receive_eof("end of the input");
        client_.engine.fail(error_abandoned, "end of the input"); // no step comes after SftpEngine
    }

private:
    // The server.

    void answer(std::string_view payload) {
        WireReader message(payload);
        switch (message.byte()) {
        case 90: { // CHANNEL_OPEN
            message.string();
            std::string confirmation(1, 91);
            append_uint32(confirmation, message.uint32());
            for (const std::uint32_t value : {7U, 256U * 1024U, 32U * 1024U}) {
                append_uint32(confirmation, value);
            }
            server_.send(confirmation);
            break;
        }
        case 98: { // CHANNEL_REQUEST
            std::string success(1, 99);
            append_uint32(success, 0);
            server_.send(success);
            break;
        }
        case 94: // CHANNEL_DATA
            message.uint32();
            requests_ += message.string();
            take_requests();
            break;
        default:
            break;
        }
    }

    void take_requests() {
        for (;;) {
            WireReader packet(requests_);
            WireReader request(packet.string());
            if (!packet.ok()) {
                return;
            }
            constexpr unsigned init = 1;
            const bool is_init = request.byte() == init;
            request_ = request.uint32();
            requests_.erase(0, requests_.size() - packet.rest().size());
            if (is_init && greets_) {
                std::string version(1, 2);
                append_uint32(version, 3);
                send_packet(version);
            }
        }
    }

    void send_data(std::string_view data) {
        std::string message(1, 94);
        append_uint32(message, 0);
        append_string(message, data);
        server_.send(message);
    }

    void send_packet(std::string_view packet) {
        std::string data;
        append_string(data, packet);
        send_data(data);
    }

    void reply(std::uint32_t request) {
        std::string packet(1, static_cast<char>(input_.byte()));
        append_uint32(packet, request);
        packet += input_.text();
        send_packet(packet);
    }

    // The client.

    void call(std::function<int()> step) {
        client_.begin([this, step = std::move(step), begun = false]() mutable {
            if (!begun && sftp_.await_room() != 0) {
                return int{LIBSSH2_ERROR_EAGAIN};
            }
            begun = true;
            return step();
        });
    }

    void on(const std::shared_ptr<SftpHandle>& handle,
            std::function<int(SftpHandle& handle)> step) {
        if (handle != nullptr) {
            call([handle, step = std::move(step)] { return step(*handle); });
        }
    }

    void act(std::uint8_t action) {
        switch (action % 16) {
        case 0:
            reply(request_);
            break;
        case 1:
            reply(request_ - input_.byte());
            break;
        case 2:
            send_data(input_.text());
            break;
        case 3:
            server_.send(input_.text());
            break;
        case 4:
            call([this] { return sftp_.stat("a", LIBSSH2_SFTP_LSTAT, attributes_); });
            break;
        case 5:
            call([this] { return sftp_.open_file("a", LIBSSH2_FXF_READ, 0, file_); });
            break;
        case 6:
            call([this] { return sftp_.open_folder("b", folder_); });
            break;
        case 7:
            on(file_, [this](SftpHandle& handle) {
                return sftp_.read(handle, offset_, block_.data(), block_.size());
            });
            break;
        case 8:
            on(file_, [this](SftpHandle& handle) {
                return sftp_.write(handle, offset_, block_.data(), block_.size() / 4, true);
            });
            break;
        case 9:
            on(folder_, [this](SftpHandle& handle) { return sftp_.next_entry(handle, entry_); });
            break;
        case 10:
            on(file_, [this](SftpHandle& handle) { return sftp_.stat(handle, attributes_); });
            break;
        case 11:
            on(file_, [this](SftpHandle& handle) { return sftp_.close(handle); });
            on(folder_, [this](SftpHandle& handle) { return sftp_.close(handle); });
            break;
        case 12:
            call([this] { return sftp_.rename("a", "b"); });
            break;
        case 13:
            call([this] { return sftp_.symlink("a", "b"); });
            break;
        case 14:
            call([this] { return sftp_.resolve("a", LIBSSH2_SFTP_READLINK, text_); });
            break;
        default:
            offset_ = input_.byte();
            break;
        }
    }

    void settle() { client_.talk_to(server_); }

    FuzzInput input_;
    PacketServer server_;
    bool greets_ = true;
    std::string requests_;
    std::uint32_t request_ = 0;

    std::vector<std::string> methods_;
    std::shared_ptr<SftpHandle> file_;
    std::shared_ptr<SftpHandle> folder_;
    SftpAttributes attributes_;
    SftpEntry entry_;
    std::string text_;
    std::vector<char> block_ = std::vector<char>(SftpEngine::read_size, 'x');
    std::uint64_t offset_ = 0;
    FuzzClient client_;
    SftpEngine sftp_{client_.engine};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Conversation(FuzzInput(data, size)).run();
    return 0;
}
