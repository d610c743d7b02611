#pragma once
/// One SSH session without I/O: bytes go in, bytes come out, and operations finish in between.

#include "net/read_buffer.hpp"
#include "ssh/kex_cost.hpp"
#include "ssh/kexinit.hpp"
#include "ssh/library.hpp"
#include "ssh/plaintext.hpp"

#include <muster/core/clock.hpp>
#include <muster/core/secret.hpp>
#include <muster/ssh/options.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::ssh::detail {

/// Something that is in progress on a session. Registered with `Engine::start`, it is stepped until
/// its result is there; whoever waits for it is woken then.
class Operation {
public:
    /// Operations with the same key are stepped one after the other, in the order they were
    /// started: libssh2 keeps the state of one call only. Null: no such restriction.
    explicit Operation(const void* exclusive = nullptr) noexcept : exclusive_(exclusive) {}

    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    virtual ~Operation() = default;

    /// Calls the library once: its result, or LIBSSH2_ERROR_EAGAIN when it needs more input.
    virtual int step() = 0;

    /// The result is there. Must not call the engine.
    virtual void wake() noexcept = 0;

    /// It has been stepped: what it stands for is under way.
    [[nodiscard]] bool begun() const noexcept { return begun_; }

    [[nodiscard]] bool finished() const noexcept { return finished_; }

    [[nodiscard]] int result() const noexcept { return result_; }

private:
    friend class Engine;

    const void* exclusive_;
    int result_ = 0;
    bool begun_ = false;
    bool finished_ = false;
};

/// The channel of a shell, a command, a subsystem or a tunnel. What the device sends is taken out
/// of libssh2 as soon as it is there, up to `buffer_limit` bytes per stream: libssh2 looks through
/// everything that is unread for each read, and forgets it all when the connection ends.
class EngineChannel {
public:
    static constexpr std::size_t buffer_limit = 256UL * 1024;

    /// What has arrived; the reader takes it.
    std::string out;
    std::string err;

    /// The device has said that nothing more comes, and all of it is in `out` and `err`.
    [[nodiscard]] bool eof() const noexcept { return eof_; }

    /// What the device reported about the command's end.
    [[nodiscard]] std::optional<int> exit_status() const noexcept { return exit_status_; }

    [[nodiscard]] const std::string& exit_signal() const noexcept { return exit_signal_; }

    /// Throw away what arrives from now on: nobody will read it.
    void discard() noexcept;

private:
    friend class Engine;

    LIBSSH2_CHANNEL* raw_ = nullptr;
    std::uint32_t id_ = 0;
    std::optional<int> exit_status_;
    std::string exit_signal_;
    bool eof_ = false;
    bool discard_ = false;
    bool close_sent_ = false;
    bool write_waits_ = false; // the last write did

    // What compute() has found, which the loop sees when it is over; and what it may take.
    std::string found_out_;
    std::string found_err_;
    std::size_t room_out_ = 0;
    std::size_t room_err_ = 0;
    bool found_eof_ = false;
};

/// Which algorithms to offer, best first. Names that this libssh2 does not have are left out. The
/// names are literals.
struct Methods {
    std::vector<std::string_view> kex;
    std::vector<std::string_view> host_key;
    std::vector<std::string_view> ciphers;
    std::vector<std::string_view> macs;

    friend bool operator==(const Methods&, const Methods&) = default;
};

/// A signature that logging in with a key needs. The engine says what is to be signed; whoever
/// makes the signature gives it, or says that there will be none.
struct SignRequest {
    std::string algorithm;
    std::string data; ///< empty as long as the server has not agreed to the key
    std::optional<std::string> signature;
    bool failed = false;

    [[nodiscard]] bool waiting() const noexcept { return !data.empty() && !signature && !failed; }
};

/// The new password for a server that insists on one, which is given to it once.
struct PasswordChange {
    const Secret& password; ///< empty: none
    int asked = 0;          ///< how often the server has insisted
};

/// Answers one round of questions; nothing gives up, and with it the session.
using Answerer = std::function<std::optional<std::vector<Secret>>(const Challenge& challenge)>;

/// What a server says when it refuses a login (RFC 4252 section 5.1).
struct Refusal {
    std::vector<std::string> methods; ///< what may be tried next
    bool partial = false;             ///< it was right, but is not enough
};

/// Looks on while a call of libssh2 runs (Engine::watched).
class CallWatch {
public:
    /// libssh2 frees these bytes, which it will not look at again: a message of the server, whole.
    virtual void on_free(std::string_view bytes) noexcept = 0;

    /// The call asks for input, and there is none. True: answer with an error, so that a call ends
    /// that would ask for ever.
    virtual bool on_starved() noexcept = 0;

protected:
    ~CallWatch() = default;
};

/// libssh2 behind byte queues. Sending always succeeds, into a queue, so no packet is ever partial
/// and EAGAIN means nothing but "more input is needed"; see docs/design/ssh.md.
///
/// The functions that return `int` are steps: to be called again with the same arguments while they
/// return LIBSSH2_ERROR_EAGAIN, from an Operation. Those marked (session) must not overlap: their
/// operations have the engine itself as key.
class Engine final : private SessionOwner {
public:
    explicit Engine(const Methods& methods);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    // Bytes.

    /// Takes what the socket gave and runs everything that it allows.
    void receive(std::string_view bytes);
    /// The socket has nothing more to give.
    void receive_eof(std::string reason);

    /// Received bytes that nobody has needed yet: stop reading the socket when they grow.
    [[nodiscard]] std::size_t unread() const noexcept {
        return computing_ ? late_input_.size() : input().size();
    }

    /// What is to be sent, all of it.
    [[nodiscard]] std::string take_output();

    [[nodiscard]] std::size_t output_size() const noexcept {
        return computing_ ? 0 : output_.size();
    }

    // Operations.

    /// Registers the operation and runs everything as far as it goes; it may be finished at return.
    /// Must be followed by `finish` once the result was seen or is no longer wanted.
    void start(Operation& operation);
    /// Takes the operation off. One that was begun and not finished has left libssh2 in the middle
    /// of something, unless `harmless`: the session is then of no further use and fails.
    void finish(Operation& operation, bool harmless = false) noexcept;
    /// Steps everything again: after something other than input has changed.
    void run();

    /// A channel whose data stays in libssh2, for calls of SFTP to find: compute() takes input for
    /// it, too. Must be taken away before libssh2 frees it.
    void add_library_channel(LIBSSH2_CHANNEL* raw) { library_channels_.push_back(raw); }

    void remove_library_channel(LIBSSH2_CHANNEL* raw) noexcept {
        std::erase(library_channels_, raw);
    }

    // Computing elsewhere: a key exchange may take long, and is nothing but arithmetic.

    /// From now on, input that leads to a key exchange step of more than `budget` is left for
    /// compute().
    void set_compute_budget(Clock::duration budget) noexcept { budget_ = budget; }

    /// There is such input. Not before compute() and end_compute() does anything go on.
    [[nodiscard]] bool wants_compute() const noexcept { return wants_compute_; }

    /// From here to end_compute() the engine belongs to compute(), on whatever thread: bytes,
    /// operations and failures are taken and wait, and nothing is to be sent.
    void begin_compute();
    void compute() noexcept;
    void end_compute();

    // The session's end.

    /// Ends the session at once: all operations finish with `code`.
    void fail(int code, std::string reason);

    /// The code with which the session failed; 0 while it works.
    [[nodiscard]] int failure() const noexcept { return failure_; }

    [[nodiscard]] const std::string& failure_reason() const noexcept { return failure_reason_; }

    /// The text that the server sent with its last message, SSH_MSG_DISCONNECT.
    [[nodiscard]] const std::string& disconnect_message() const noexcept { return disconnect_; }

    /// libssh2's words about the last error.
    [[nodiscard]] std::string last_error() const;

    /// The same about the last step that failed: others may have been taken since.
    [[nodiscard]] const std::string& last_words() const noexcept { return last_words_; }

    // Steps.

    int handshake();                                                              // (session)
    int list_methods(const std::string& user, std::vector<std::string>& methods); // (session)
    /// Must not be called again once it has returned LIBSSH2_ERROR_PASSWORD_EXPIRED.
    int login_password(const std::string& user, const Secret& password,
                       PasswordChange& change);                         // (session)
    int login_interactive(const std::string& user, Answerer& answerer); // (session)
    /// `key` is the public half. The result `signature_wanted` stands for another
    /// LIBSSH2_ERROR_EAGAIN: to be called again when the request has been answered.
    int login_key(const std::string& user, const std::string& key,
                  SignRequest& request);       // (session)
    int open_channel(EngineChannel*& channel); // (session)
    /// A connection from the server to host and port (RFC 4254 section 7.2).
    int open_tunnel(EngineChannel*& channel, const std::string& host, int port); // (session)
    int set_env(EngineChannel& channel, const std::string& name, const std::string& value);
    int request_pty(EngineChannel& channel, const std::string& term, int width, int height);
    /// kind: "exec", "shell" or "subsystem".
    int request_start(EngineChannel& channel, const std::string& kind, const std::string& argument);
    /// The most that one write takes.
    static constexpr unsigned packet_size = 32 * 1024;
    /// Bytes accepted, at least one.
    int write(EngineChannel& channel, std::string_view data);
    /// libssh2 has begun with a packet of this channel, and wants the same bytes again: that a
    /// write had to wait was not for the device's window.
    [[nodiscard]] bool write_begun(const EngineChannel& channel) const noexcept;
    int send_eof(EngineChannel& channel);
    /// name: "TERM". LIBSSH2_ERROR_METHOD_NOT_SUPPORTED before libssh2 1.11.
    int send_signal(EngineChannel& channel, const std::string& name);
    int resize_pty(EngineChannel& channel, int width, int height);
    /// Sends and awaits the end of the channel; the exit status is there afterwards.
    int close_channel(EngineChannel& channel);
    int disconnect(); // (session)

    /// Asks the server for any answer at all. At most every two seconds, as libssh2 has it.
    void send_keepalive() noexcept;

    /// A step of a part of libssh2 that has a file of its own: `call(LIBSSH2_SESSION*)`, while
    /// `watch` looks on.
    template <class F>
    auto watched(CallWatch& watch, F call) {
        watch_ = &watch;
        auto result = call(session_);
        watch_ = nullptr;
        return result;
    }

    /// Frees the channel and all it holds. Closed channels cost nothing; an open one is closed.
    void free_channel(EngineChannel& channel) noexcept;

    // Facts.

    /// The key exchange is over: for both sides, whatever the server sends.
    [[nodiscard]] bool encrypted() const noexcept {
        return !computing_ && framing_.encrypted() && newkeys_sent_;
    }

    /// Whether the end of a channel was sent since this was last asked.
    [[nodiscard]] bool take_goodbye() noexcept { return std::exchange(said_goodbye_, false); }

    [[nodiscard]] bool authenticated() const noexcept;
    /// The server's host key in wire format, after the handshake.
    [[nodiscard]] std::string host_key() const;
    /// What would be offered for these methods: the names that this libssh2 has.
    [[nodiscard]] Methods usable(const Methods& methods) const;
    /// Whether this libssh2 can sign with an RSA key as servers since OpenSSH 8.8 want it: it then
    /// asks the server for its signature algorithms.
    [[nodiscard]] bool signs_rsa_with_sha2() const;

    /// What the server said when it refused the latest login; nothing when it did not.
    [[nodiscard]] const std::optional<Refusal>& refusal() const noexcept { return refusal_; }

    /// The signature algorithms that the server takes from users, where it was asked and said so
    /// (RFC 8308 section 3.1).
    [[nodiscard]] const std::vector<std::string>& server_signature_algorithms() const noexcept {
        return server_signature_algorithms_;
    }

    /// What the server has sent that libssh2 must not see; empty: nothing.
    [[nodiscard]] std::string_view offence() const noexcept { return offence_; }

    /// After the login: the offers of both sides are kept for error messages only.
    void forget_offers() noexcept;

    [[nodiscard]] const KexInitReader& client_side() const noexcept { return sent_; }

    [[nodiscard]] const KexInitReader& server_side() const noexcept { return received_; }

private:
    struct Callbacks; // what libssh2 calls

    void before_free(std::string_view bytes) noexcept override;
    bool may_allocate(std::size_t size) noexcept override;
    void notice_before_login(std::string_view bytes);
    void prefer(int kind, const std::string& names);
    [[nodiscard]] bool nothing_to_read();

    [[nodiscard]] std::string_view input() const noexcept {
        return input_.empty() ? lent_ : input_.view();
    }

    bool step_all();
    [[nodiscard]] bool must_wait(const Operation& operation) const noexcept;
    [[nodiscard]] bool must_compute();
    void note_offer();
    int call_handshake() noexcept;
    bool drain(EngineChannel& channel);
    static int drain_stream(LIBSSH2_CHANNEL* raw, int stream, std::string& buffer,
                            std::size_t room) noexcept;
    int compute_round() noexcept;
    void deliver_found(EngineChannel& channel);
    EngineChannel& add_channel(LIBSSH2_CHANNEL* raw);
    void wind_up() noexcept;
    void unwind() noexcept;
    ssize_t receive_last(char* buffer, std::size_t length) noexcept;

    // In front of the session, which asks for memory when it is made.
    PlaintextFraming framing_;
    Answerer* answerer_ = nullptr;
    std::string_view offence_;
    bool newkeys_sent_ = false;
    std::size_t offer_size_ = 0; // of our KEXINIT, which libssh2 holds during each key exchange
    int offers_ = 0;             // blocks of that size
    LIBSSH2_SESSION* session_ = nullptr;
    muster::detail::ReadBuffer input_;
    std::string_view lent_;   // in place of it, while receive() runs
    std::size_t granted_ = 0; // how much of the input libssh2 may have now
    bool newkeys_forged_ = false;
    bool said_goodbye_ = false; // to a channel
    std::string output_;
    std::vector<Operation*> operations_;
    std::list<EngineChannel> channels_;
    std::vector<LIBSSH2_CHANNEL*> library_channels_;
    std::uint32_t confirmed_channel_ = 0;
    PasswordChange* password_change_ = nullptr;
    std::optional<Refusal> refusal_;
    std::vector<std::string> server_signature_algorithms_;
    CallWatch* watch_ = nullptr;
    std::string disconnect_;
    std::string eof_reason_;
    std::string failure_reason_;
    std::string last_words_;
    int failure_ = 0;
    KexInitReader sent_;
    KexInitReader received_;
    bool input_ended_ = false;
    bool dead_ = false; // the callbacks refuse everything
    bool running_ = false;

    std::vector<std::string_view> kex_; // what we offer, best first
    Clock::duration budget_ = Clock::duration::max();
    KexCost* cost_ = nullptr; // of the method that both sides will choose
    std::optional<int> handshake_result_;
    bool handshaking_ = false;
    bool slow_ = false; // its key exchange is computed elsewhere, and so are its renewals
    bool wants_compute_ = false;
    bool computing_ = false;
    bool in_vain_ = false; // no channel wants the input: an operation may, here
    bool again_ = false;   // run() was called meanwhile
    int compute_failure_ = 0;
    std::string late_input_;
    std::vector<EngineChannel*> late_frees_;
};

/// A step's result: the server waits for a signature.
constexpr int signature_wanted = 1;

/// Our own result codes, outside of libssh2's.
constexpr int error_connection_lost = -10'001;
constexpr int error_abandoned = -10'002;

/// Whether an error ends the session, rather than one operation.
bool is_fatal(int code) noexcept;

} // namespace muster::ssh::detail
