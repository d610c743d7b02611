#include "ssh/engine.hpp"

#include "ssh/one_line.hpp"
#include "ssh/wire.hpp"

#include <muster/ssh/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace muster::ssh::detail {

namespace {

constexpr unsigned char message_ext_info = 7;
constexpr unsigned char message_kexinit = 20;
constexpr unsigned char message_newkeys = 21;
constexpr unsigned char message_userauth_failure = 51;
constexpr unsigned char message_userauth_info_request = 60;
constexpr unsigned char message_channel_open_confirmation = 91;
constexpr unsigned char message_channel_request = 98;

Methods usable_of(const Methods& methods) {
    const auto keep = [](int kind, std::vector<std::string_view> names) {
        const auto& supported = supported_algorithms(kind);
        std::erase_if(names, [&](std::string_view name) {
            return std::find(supported.begin(), supported.end(), name) == supported.end();
        });
        return names;
    };
    return {keep(LIBSSH2_METHOD_KEX, methods.kex), keep(LIBSSH2_METHOD_HOSTKEY, methods.host_key),
            keep(LIBSSH2_METHOD_CRYPT_CS, methods.ciphers),
            keep(LIBSSH2_METHOD_MAC_CS, methods.macs)};
}

/// What is offered for some methods, as libssh2 wants to have it.
struct Offer {
    Methods usable;
    std::string kex;
    std::string host_key;
    std::string ciphers;
    std::string macs;
};

/// Made anew only when it is for other methods than the last one: those of a fleet are the same.
const Offer& offer_for(const Methods& methods) {
    static thread_local Methods last;
    static thread_local std::optional<Offer> offer;
    if (!offer || methods != last) {
        Methods usable = usable_of(methods);
        const auto join = [](const std::vector<std::string_view>& names) {
            return join_names(names, ",");
        };
        offer.emplace(Offer{.usable = usable,
                            .kex = join(usable.kex),
                            .host_key = join(usable.host_key),
                            .ciphers = join(usable.ciphers),
                            .macs = join(usable.macs)});
        last = methods;
    }
    return *offer;
}

} // namespace

bool is_fatal(int code) noexcept {
    switch (code) {
    case LIBSSH2_ERROR_EAGAIN:
    case LIBSSH2_ERROR_PASSWORD_EXPIRED:
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
    case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
    case LIBSSH2_ERROR_CHANNEL_FAILURE:
    case LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED:
    case LIBSSH2_ERROR_CHANNEL_CLOSED:
    case LIBSSH2_ERROR_CHANNEL_EOF_SENT:
    case LIBSSH2_ERROR_REQUEST_DENIED:
    case LIBSSH2_ERROR_METHOD_NONE:
    case LIBSSH2_ERROR_METHOD_NOT_SUPPORTED:
    case LIBSSH2_ERROR_INVAL:
    case LIBSSH2_ERROR_SFTP_PROTOCOL:
        return false;
    default:
        return code < 0;
    }
}

struct Engine::Callbacks {
    static Engine& engine(void** abstract) {
        return static_cast<Engine&>(*static_cast<SessionOwner*>(*abstract));
    }

    static ssize_t send(libssh2_socket_t /*socket*/, const void* bytes, size_t length,
                        int /*flags*/, void** abstract) {
        Engine& self = engine(abstract);
        if (self.dead_) {
            return -EPIPE;
        }
        const std::string_view data(static_cast<const char*>(bytes), length);
        self.sent_.feed(data);
        // libssh2 sends packet by packet: length, padding, message.
        if (!self.newkeys_sent_) {
            WireReader packet(data);
            const std::uint32_t size = packet.uint32();
            const std::uint32_t padding = packet.byte();
            const unsigned char kind = packet.byte();
            if (kind == message_kexinit) {
                self.offer_size_ = size - padding - 1;
                self.offers_ = 1;
            }
            self.newkeys_sent_ = kind == message_newkeys;
        }
        self.output_ += data;
        return static_cast<ssize_t>(length);
    }

    static ssize_t receive(libssh2_socket_t /*socket*/, void* buffer, size_t length, int /*flags*/,
                           void** abstract) {
        Engine& self = engine(abstract);
        if (self.dead_) {
            return self.receive_last(static_cast<char*>(buffer), length);
        }
        const std::string_view unread = self.input();
        const std::size_t take = std::min(
            {length, self.granted_, self.granted_ > 0 ? self.framing_.available(unread) : 0});
        if (take == 0) {
            // Never the end of input: libssh2 would forget the packets it has already read.
            return self.watch_ != nullptr && self.watch_->on_starved() ? -EIO : -EAGAIN;
        }
        std::memcpy(buffer, unread.data(), take);
        self.framing_.consumed(take);
        self.granted_ -= take;
        if (self.input_.empty()) {
            self.lent_.remove_prefix(take);
        } else {
            self.input_.drop(take);
        }
        return static_cast<ssize_t>(take);
    }

    static void disconnect(LIBSSH2_SESSION* /*session*/, int /*reason*/, const char* message,
                           int length, const char* /*language*/, int /*language_length*/,
                           void** abstract) {
        std::string& text = engine(abstract).disconnect_;
        constexpr std::size_t longest_words = 200;
        if (message != nullptr && length > 0) {
            text = one_line({message, static_cast<std::size_t>(length)}, longest_words);
        }
        if (text.empty()) {
            text = "no reason given";
        }
    }

    /// Text for libssh2 to free; null when there is no memory.
    static char* copy(SessionOwner& owner, std::string_view text) {
        auto* memory = static_cast<char*>(owner.allocate(text.size() + 1));
        if (memory != nullptr) {
            std::memcpy(memory, text.data(), text.size());
            memory[text.size()] = '\0';
        }
        return memory;
    }

    static int sign(LIBSSH2_SESSION* session, unsigned char** signature, size_t* length,
                    const unsigned char* data, size_t data_length, void** abstract) {
        auto& request = *static_cast<SignRequest*>(*abstract);
        try {
            if (request.failed) {
                return LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;
            }
            if (!request.signature) {
                const std::string_view bytes(reinterpret_cast<const char*>(data), data_length);
                // The data names the algorithm that libssh2 has chosen (RFC 4252 section 7).
                WireReader reader(bytes);
                reader.string(); // session id
                reader.byte();   // SSH_MSG_USERAUTH_REQUEST
                reader.string(); // user
                reader.string(); // service
                reader.string(); // "publickey"
                reader.byte();   // true
                request.algorithm = reader.string();
                request.data = bytes;
                return LIBSSH2_ERROR_EAGAIN;
            }
            auto& owner = *static_cast<SessionOwner*>(*libssh2_session_abstract(session));
            char* memory = copy(owner, *request.signature);
            if (memory == nullptr) {
                return LIBSSH2_ERROR_ALLOC;
            }
            *signature = reinterpret_cast<unsigned char*>(memory);
            *length = request.signature->size();
            return 0;
        } catch (...) {
            return LIBSSH2_ERROR_ALLOC; // no exception may cross libssh2
        }
    }

    static void respond(const char* name, int name_length, const char* instruction,
                        int instruction_length, int count,
                        const LIBSSH2_USERAUTH_KBDINT_PROMPT* prompts,
                        LIBSSH2_USERAUTH_KBDINT_RESPONSE* responses, void** abstract) {
        Engine& self = engine(abstract);
        const auto text = [](const void* begin, std::size_t length) {
            return begin == nullptr ? std::string()
                                    : std::string(static_cast<const char*>(begin), length);
        };
        try {
            Challenge challenge;
            challenge.name = text(name, static_cast<std::size_t>(name_length));
            challenge.instruction = text(instruction, static_cast<std::size_t>(instruction_length));
            for (int i = 0; i < count; ++i) {
                challenge.prompts.push_back(
                    {text(prompts[i].text, prompts[i].length), prompts[i].echo != 0});
            }
            auto answers = (*self.answerer_)(challenge);
            // libssh2 takes no refusal here: with nothing more to be sent it gives up by itself.
            self.dead_ = !answers;
            if (answers) {
                answers->resize(challenge.prompts.size());
                for (std::size_t i = 0; i < answers->size(); ++i) {
                    const std::string& answer = (*answers)[i].reveal();
                    responses[i].text = copy(self, answer);
                    responses[i].length = responses[i].text == nullptr ? 0 : length_of(answer);
                }
            }
        } catch (...) {
            self.dead_ = true; // no exception may cross libssh2
        }
    }

    static void change_password(LIBSSH2_SESSION* /*session*/, char** password, int* length,
                                void** abstract) {
        Engine& self = engine(abstract);
        PasswordChange& change = *self.password_change_;
        // Without one, libssh2 reports LIBSSH2_ERROR_PASSWORD_EXPIRED.
        if (++change.asked == 1 && !change.password.empty()) {
            *password = copy(self, change.password.reveal());
            *length = static_cast<int>(change.password.reveal().size());
        }
    }

    static void install(LIBSSH2_SESSION* session) {
#if LIBSSH2_VERSION_NUM >= 0x010b01
        using Generic = libssh2_cb_generic*;
        const auto set = libssh2_session_callback_set2;
#else
        using Generic = void*;
        const auto set = libssh2_session_callback_set;
#endif
        set(session, LIBSSH2_CALLBACK_SEND, reinterpret_cast<Generic>(&send));
        set(session, LIBSSH2_CALLBACK_RECV, reinterpret_cast<Generic>(&receive));
        set(session, LIBSSH2_CALLBACK_DISCONNECT, reinterpret_cast<Generic>(&disconnect));
    }
};

Engine::Engine(const Methods& methods) : session_(new_session(*this)) {
    Callbacks::install(session_);
#if LIBSSH2_VERSION_NUM >= 0x010b00
    // Every operation has a deadline of its own; libssh2's is a minute and would cut longer ones.
    constexpr long one_day = 24L * 60 * 60;
    libssh2_session_set_read_timeout(session_, one_day);
#endif
    try {
        const Offer& offer = offer_for(methods);
        prefer(LIBSSH2_METHOD_KEX, offer.kex);
        prefer(LIBSSH2_METHOD_HOSTKEY, offer.host_key);
        prefer(LIBSSH2_METHOD_CRYPT_CS, offer.ciphers);
        prefer(LIBSSH2_METHOD_CRYPT_SC, offer.ciphers);
        prefer(LIBSSH2_METHOD_MAC_CS, offer.macs);
        prefer(LIBSSH2_METHOD_MAC_SC, offer.macs);
        kex_ = offer.usable.kex;
    } catch (...) {
        libssh2_session_free(session_);
        throw;
    }
}

Engine::~Engine() {
    computing_ = false; // who computed last may be who destroys it
    dead_ = true;
    if (handshaking_) {
        call_handshake();
    }
    unwind();
    // With the callbacks refusing everything there is nothing left to wait for.
    while (libssh2_session_free(session_) == LIBSSH2_ERROR_EAGAIN) {
    }
}

Methods Engine::usable(const Methods& methods) const { return usable_of(methods); }

void Engine::prefer(int kind, const std::string& names) {
    if (libssh2_session_method_pref(session_, kind, names.c_str()) != 0) {
        Failure failure;
        failure.kind = ErrorKind::configuration;
        failure.reason = "libssh2 " + library_version() + " takes none of the algorithms " + names;
        throw Error(std::move(failure));
    }
}

bool Engine::may_allocate(std::size_t size) noexcept {
    // libssh2 1.10 believes the length of an Ed25519 key inside the host key that it makes room for
    // here, and copies the first string of a server's questions without a look at their length.
    // For both, all its memory is looked through, which a server could make it have a lot of.
    constexpr std::size_t most_blocks = 1000;
    offers_ += size == offer_size_ ? 1 : 0;
    const bool exchanging_keys = newkeys_sent_ ? offers_ > 0 : framing_.answered();
    if ((!newkeys_sent_ || answerer_ != nullptr) && blocks() > most_blocks) {
        offence_ = "messages without end in the login";
    } else if (exchanging_keys && holds_false_host_key(size)) {
        offence_ = "a malformed host key";
    } else if (answerer_ != nullptr && holds_false_length(message_userauth_info_request, size)) {
        offence_ = "a malformed question";
    } else {
        return true;
    }
    return false;
}

void Engine::before_free(std::string_view bytes) noexcept {
    if (watch_ != nullptr) {
        watch_->on_free(bytes);
    }
    offers_ -= offers_ > 0 && bytes.size() == offer_size_ ? 1 : 0;
    // libssh2 1.10 and 1.11 do not tell an exit status of 0 from none at all, never tell a
    // channel's number, and report whatever lies in memory as the signal if the message is cut
    // short. All three are in the server's messages, which pass by here.
    if (bytes.size() < 6) {
        return;
    }
    if (!authenticated()) {
        notice_before_login(bytes);
        return;
    }
    WireReader message(bytes);
    const unsigned char kind = message.byte();
    const std::uint32_t channel = message.uint32();
    if (kind == message_channel_open_confirmation) {
        confirmed_channel_ = channel;
    } else if (kind == message_channel_request) {
        const std::string_view request = message.string();
        message.byte(); // wants no reply
        const auto open =
            std::find_if(channels_.begin(), channels_.end(),
                         [&](const EngineChannel& one) { return one.id_ == channel; });
        if (open == channels_.end()) {
            return;
        }
        if (request == "exit-status") {
            const std::uint32_t status = message.uint32();
            if (message.ok()) {
                open->exit_status_ = static_cast<int>(status);
            }
        } else if (request == "exit-signal") {
            constexpr std::size_t longest = 64; // what follows is no signal's name
            open->exit_signal_ = message.string().substr(0, longest);
        }
    }
}

void Engine::notice_before_login(std::string_view bytes) {
    // Nor does libssh2 tell a login that is not enough from one that is wrong. Passwords pass by as
    // well; none looks like such a message, which has zeros in front.
    WireReader message(bytes);
    const unsigned char kind = message.byte();
    if (kind == message_userauth_failure) {
        Refusal refusal;
        refusal.methods = split_names(message.string());
        refusal.partial = message.byte() != 0;
        if (message.ok()) {
            refusal_ = std::move(refusal);
        }
    } else if (kind == message_ext_info) {
        for (std::uint32_t left = message.uint32(); left > 0 && message.ok(); --left) {
            const std::string_view name = message.string();
            const std::string_view value = message.string();
            if (message.ok() && name == "server-sig-algs") {
                server_signature_algorithms_ = split_names(value);
            }
        }
    }
}

ssize_t Engine::receive_last(char* buffer, std::size_t length) noexcept {
    // libssh2 frees the server's key and the ciphers only if the key exchange has ended. Let it.
    const std::string_view newkeys = PlaintextFraming::newkeys_packet();
    if (!framing_.awaits_newkeys() || length < newkeys.size() || newkeys_forged_) {
        return 0;
    }
    newkeys_forged_ = true;
    std::memcpy(buffer, newkeys.data(), newkeys.size());
    return static_cast<ssize_t>(newkeys.size());
}

void Engine::receive(std::string_view bytes) {
    if (computing_) {
        late_input_ += bytes;
        return;
    }
    received_.feed(bytes);
    note_offer();
    if (input_.empty()) {
        // Nearly always all of it is used at once, and need not be copied.
        lent_ = bytes;
        run();
        input_.append(std::exchange(lent_, {}));
    } else {
        input_.append(bytes);
        run();
    }
}

void Engine::receive_eof(std::string reason) {
    input_ended_ = true;
    eof_reason_ = std::move(reason);
    run();
}

std::string Engine::take_output() { return std::exchange(output_, {}); }

void Engine::start(Operation& operation) {
    operations_.push_back(&operation);
    if (failure_ != 0) {
        const int code = computing_ ? failure_ : operation.step();
        operation.result_ = code >= 0 ? code : failure_;
        operation.finished_ = true;
        return;
    }
    run();
}

bool Engine::must_wait(const Operation& operation) const noexcept {
    if (operation.exclusive_ == nullptr) {
        return false;
    }
    for (const Operation* other : operations_) {
        if (other == &operation) {
            return false;
        }
        if (!other->finished_ && other->exclusive_ == operation.exclusive_) {
            return true;
        }
    }
    return false;
}

void Engine::finish(Operation& operation, bool harmless) noexcept {
    if (operation.begun_ && !operation.finished_ && !harmless) {
        fail(error_abandoned, "an operation was cut off");
    }
    std::erase(operations_, &operation);
}

void Engine::run() {
    if (running_ || computing_) {
        again_ = computing_;
        return;
    }
    running_ = true;
    wants_compute_ = false;
    while (failure_ == 0) {
        if (step_all()) {
            continue;
        }
        const std::size_t left = unread();
        if (left == 0) {
            break;
        }
        if (must_compute() && !std::exchange(in_vain_, false)) {
            wants_compute_ = true;
            break;
        }
        // A server's last message may follow a command's last output at once, and libssh2 reads
        // nothing any more after that message. So the last byte is kept back until all that stands
        // before it has been taken out of the channels.
        granted_ = channels_.empty() || left == 1 ? left : left - 1;
        const bool progress = step_all();
        granted_ = 0;
        if (!progress && unread() == left) {
            break; // nobody wants it now
        }
    }
    if (failure_ == 0 && input_ended_ && nothing_to_read()) {
        fail(error_connection_lost, eof_reason_);
    }
    running_ = false;
}

bool Engine::nothing_to_read() {
    // Before encryption begins, libssh2 is given whole packets only: half of one is nothing.
    return framing_.available(input()) == 0;
}

bool Engine::step_all() {
    bool progress = false;
    for (EngineChannel& channel : channels_) {
        progress = drain(channel) || progress;
        if (failure_ != 0) {
            return true;
        }
    }
    // By index: waking must not add operations, but a list that changed would be worse.
    for (std::size_t i = 0; i < operations_.size(); ++i) { // NOLINT(modernize-loop-convert)
        Operation& operation = *operations_[i];
        if (operation.finished_ || must_wait(operation)) {
            continue;
        }
        operation.begun_ = true;
        int code = operation.step();
        if (code == LIBSSH2_ERROR_EAGAIN) {
            continue;
        }
        if (code < 0) {
            last_words_ = last_error();
        }
        if (code < 0 && !disconnect_.empty()) {
            // Where libssh2 waits for an answer, it reports the server's farewell as something
            // else.
            code = LIBSSH2_ERROR_SOCKET_DISCONNECT;
        }
        progress = true;
        operation.result_ = code;
        operation.finished_ = true;
        operation.wake();
        if (is_fatal(code)) {
            fail(code, last_words_);
            return true;
        }
    }
    return progress;
}

void Engine::unwind() noexcept {
    char byte = 0;
    for (EngineChannel& channel : channels_) {
        libssh2_channel_read_ex(channel.raw_, 0, &byte, 1);
    }
}

void Engine::fail(int code, std::string reason) {
    if (failure_ != 0) {
        return;
    }
    failure_ = code;
    failure_reason_ = std::move(reason);
    if (!computing_) {
        wind_up();
    }
}

void Engine::wind_up() noexcept {
    // libssh2 frees what a half-done operation holds (keys, big numbers) only when that operation
    // itself fails. So each is called once more, with callbacks that refuse everything.
    dead_ = true;
    for (Operation* operation : operations_) {
        if (!operation->finished_) {
            const int last = operation->begun_ ? operation->step() : failure_;
            operation->result_ = last >= 0 ? last : failure_;
            operation->finished_ = true;
            operation->wake();
        }
    }
    if (handshaking_) {
        call_handshake(); // whoever waited for it may be gone
    }
    unwind();
}

std::string Engine::last_error() const {
    if (computing_) {
        return last_words_;
    }
    char* message = nullptr;
    int length = 0;
    libssh2_session_last_error(session_, &message, &length, 0);
    return message == nullptr ? std::string()
                              : std::string(message, static_cast<std::size_t>(length));
}

int Engine::handshake() {
    // libssh2 would read on for ever, in the second case for a message that a server of version 1
    // does not send.
    if (received_.is_nonsense() || received_.is_version_1()) {
        return LIBSSH2_ERROR_PROTO;
    }
    if (handshake_result_) {
        return *handshake_result_;
    }
    if (granted_ == 0 || cost_ == nullptr) {
        return call_handshake();
    }
    const CpuTimer timer;
    const int code = call_handshake();
    cost_->note(timer.elapsed());
    return code;
}

int Engine::call_handshake() noexcept {
    const int code = libssh2_session_handshake(session_, idle_descriptor());
    handshaking_ = code == LIBSSH2_ERROR_EAGAIN;
    if (!handshaking_) {
        handshake_result_ = code;
    }
    return code;
}

int Engine::list_methods(const std::string& user, std::vector<std::string>& methods) {
    const char* list = libssh2_userauth_list(session_, user.c_str(), length_of(user));
    if (list != nullptr) {
        methods = split_names(list);
        return 0;
    }
    return authenticated() ? 0 : libssh2_session_last_errno(session_);
}

int Engine::login_password(const std::string& user, const Secret& password,
                           PasswordChange& change) {
    refusal_.reset();
    password_change_ = &change;
    const std::string& text = password.reveal();
    return libssh2_userauth_password_ex(session_, user.c_str(), length_of(user), text.c_str(),
                                        length_of(text), &Callbacks::change_password);
}

int Engine::login_interactive(const std::string& user, Answerer& answerer) {
#if LIBSSH2_VERSION_NUM < 0x010b00
    // Prompts are laid out differently in memory since 1.11.
    if (libssh2_version(0x010b00) != nullptr) {
        return LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;
    }
#endif
    refusal_.reset();
    answerer_ = &answerer;
    const bool was_dead = dead_;
    const int code = libssh2_userauth_keyboard_interactive_ex(session_, user.c_str(),
                                                              length_of(user), &Callbacks::respond);
    if (code != LIBSSH2_ERROR_EAGAIN) {
        answerer_ = nullptr;
    }
    if (dead_ && !was_dead) {
        return error_abandoned;
    }
    // A refusal comes as -1, which means a broken connection elsewhere.
    return code == -1 && !dead_ && disconnect_.empty() ? LIBSSH2_ERROR_AUTHENTICATION_FAILED : code;
}

int Engine::login_key(const std::string& user, const std::string& key, SignRequest& request) {
    refusal_.reset();
    void* abstract = &request;
    const int code = libssh2_userauth_publickey(session_, user.c_str(),
                                                reinterpret_cast<const unsigned char*>(key.data()),
                                                key.size(), &Callbacks::sign, &abstract);
    return code == LIBSSH2_ERROR_EAGAIN && request.waiting() ? signature_wanted : code;
}

int Engine::disconnect() {
    return libssh2_session_disconnect_ex(session_, SSH_DISCONNECT_BY_APPLICATION, "done", "");
}

void Engine::send_keepalive() noexcept {
    if (computing_) {
        return; // there is input, or there would be nothing to compute
    }
    constexpr unsigned shortest = 2;
    int next = 0;
    libssh2_keepalive_config(session_, 1, shortest);
    libssh2_keepalive_send(session_, &next);
}

bool Engine::authenticated() const noexcept {
    return libssh2_userauth_authenticated(session_) == 1;
}

std::string Engine::host_key() const {
    std::size_t length = 0;
    int type = 0;
    const char* key = libssh2_session_hostkey(session_, &length, &type);
    return key == nullptr ? std::string() : std::string(key, length);
}

void Engine::forget_offers() noexcept {
    sent_.forget_message();
    received_.forget_message();
}

bool Engine::signs_rsa_with_sha2() const {
    const auto offer = sent_.message();
    return offer &&
           std::find(offer->kex.begin(), offer->kex.end(), "ext-info-c") != offer->kex.end();
}

} // namespace muster::ssh::detail
