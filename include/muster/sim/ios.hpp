#pragma once
/// A virtual IOS-like router: its state (`IosDevice`) and a terminal session on it (`IosSession`).
/// Both are free of input and output and of clocks, so that a test can drive them byte by byte;
/// `Fleet` puts them behind real SSH.

#include <muster/core/secret.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::sim {

class IosState;

/// What a device is when it is switched on.
struct IosProfile {
    std::string hostname = "r1";
    Secret enable_secret = "secret";        ///< empty: `enable` is refused
    std::string management_ip = "10.0.0.1"; ///< of GigabitEthernet0/0
    std::string serial = "9MUSTER0001";
    std::vector<std::string> config; ///< further configuration lines, applied at power-on
    /// The device's clock; the system's when empty.
    std::function<std::chrono::system_clock::time_point()> now;
};

/// An interface as `show ip interface brief` lists it.
struct IosInterface {
    std::string name;
    std::string ip; ///< empty: unassigned
    std::string mask;
    std::string description;
    bool enabled = false; ///< not shut down
};

/// What became of configuration lines given to a device all at once.
struct IosConfigured {
    std::size_t applied = 0; ///< lines before the first one refused
    bool rejected = false;
};

/// A device's state, shared by all sessions on it. Not synchronised: one thread at a time.
class IosDevice {
public:
    /// Throws ValueError if a line of `profile.config` is not understood.
    explicit IosDevice(IosProfile profile);
    ~IosDevice();
    IosDevice(IosDevice&&) noexcept;
    IosDevice& operator=(IosDevice&&) noexcept;

    [[nodiscard]] const std::string& hostname() const;

    /// The running configuration from `version` to `end`, without the header that carries times.
    [[nodiscard]] std::string running_config() const;

    /// What a reload would bring back, in the same form; empty after `write erase`.
    [[nodiscard]] std::string startup_config() const;

    [[nodiscard]] std::vector<IosInterface> interfaces() const;

    /// Applies lines as if `user` typed them in configuration mode, up to the first refused one.
    /// Lines that contain `reject`, unless it is empty, are refused.
    IosConfigured configure(const std::vector<std::string>& lines, const std::string& user,
                            std::string_view reject = {});

    /// The software version, as in `show version`.
    [[nodiscard]] static std::string_view version();

    [[nodiscard]] const std::string& serial() const;

    /// Time since power-on or the last `reload`.
    [[nodiscard]] std::chrono::seconds uptime() const;

private:
    friend class IosSession;
    std::unique_ptr<IosState> state_;
};

/// How a session starts.
struct IosSessionOptions {
    std::string username = "admin";
    bool privileged = false; ///< starts at `name#` instead of `name>`
    int length = 24;         ///< terminal lines per page; 0: no pager
    int width = 80;
    std::string reject; ///< configuration lines containing this text are refused; empty: none
};

/// What a session has to say about the input it has just consumed.
struct IosReply {
    std::string echo;         ///< to be sent at once
    std::string output;       ///< the answer with the next prompt; a slow device sends it later
    bool line_end = false;    ///< a whole line was consumed
    bool configuring = false; ///< ... in configuration mode
    bool closed = false;      ///< the device ends the session after the output
};

/// A terminal session. Feed it what the user types; it edits, echoes and answers as IOS does.
/// The device must outlive it.
class IosSession {
public:
    explicit IosSession(IosDevice& device, IosSessionOptions options = {});
    ~IosSession();
    IosSession(IosSession&&) noexcept;
    IosSession& operator=(IosSession&&) noexcept;

    /// What the user sees on login: banners and the first prompt.
    [[nodiscard]] std::string greeting();

    /// Appends to the type-ahead buffer; `step` consumes it.
    void input(std::string_view bytes);

    /// Consumes input up to the end of one line (or one key where the device asks for a key).
    /// nullopt: nothing to consume. Call again when the reply's output has been sent.
    [[nodiscard]] std::optional<IosReply> step();

    /// `input` and `step` until all is consumed; everything the terminal shows.
    std::string type(std::string_view bytes);

    /// Runs one command without a terminal, as an exec channel does: no prompt, no pager.
    [[nodiscard]] std::string exec(std::string_view command);

    /// The prompt of the current mode.
    [[nodiscard]] std::string prompt() const;

    /// The user's window changed size. `terminal length` and `terminal width` do the same.
    void resize(int width, int length);

    [[nodiscard]] bool closed() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace muster::sim
