#pragma once
/// A scripted device on a terminal in memory, for tests of what talks to terminals.

#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>
#include <muster/device/device.hpp>
#include <muster/device/terminal.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The wire between a test's device and a Cli: what the device says waits here until it is read.
class Wire {
public:
    /// The device says something.
    void say(std::string_view bytes) {
        bytes_ += bytes;
        wake();
    }

    void say_later(std::chrono::milliseconds delay, std::string bytes) {
        muster::get_running_loop().call_later(delay, [this, bytes] { say(bytes); });
    }

    void hang_up() {
        ended_ = true;
        wake();
    }

    muster::Coro<std::string> read() {
        while (bytes_.empty() && !ended_) {
            waiter_ = muster::get_running_loop().create_future<void>();
            const muster::Future<void> waiter = waiter_;
            co_await waiter;
        }
        const std::size_t size = piece == 0 ? bytes_.size() : std::min(piece, bytes_.size());
        std::string result = bytes_.substr(0, size);
        bytes_.erase(0, size);
        co_return result;
    }

    /// Bytes given per read; 0: all there are.
    std::size_t piece = 0;

private:
    void wake() {
        if (waiter_.valid() && !waiter_.done()) {
            waiter_.set_result();
        }
    }

    std::string bytes_;
    bool ended_ = false;
    muster::Future<void> waiter_;
};

/// A device much like an IOS router. What it says to a command, and everything odd, is set by the
/// test; it must outlive the Cli.
class FakeRouter {
public:
    FakeRouter() = default;
    FakeRouter(const FakeRouter&) = delete;
    FakeRouter& operator=(const FakeRouter&) = delete;

    std::string hostname = "r1";
    std::string mode = "exec"; ///< "exec", "privileged", or what stands in the parentheses
    std::string secret = "s3cret-enable";
    std::string greeting;
    /// What it says on connecting, in place of greeting and prompt.
    std::optional<std::string> first_words;
    bool echoes = true;
    std::chrono::milliseconds latency{0};
    /// What it says to a command, with \n for line ends.
    std::map<std::string, std::string> answers;
    /// Asked first: gives the bytes the device sends in place of its usual answer and prompt.
    std::function<std::optional<std::string>(const std::string& line)> special;

    Wire wire;
    /// Everything it was sent, line by line.
    std::vector<std::string> received;
    bool said_goodbye = false;
    bool disconnected = false;

    [[nodiscard]] std::string prompt() const {
        if (mode == "exec") {
            return hostname + ">";
        }
        return mode == "privileged" ? hostname + "#" : hostname.substr(0, 20) + "(" + mode + ")#";
    }

    /// The Cli's end.
    std::unique_ptr<muster::device::Terminal> terminal() {
        class End final : public muster::device::Terminal {
        public:
            explicit End(FakeRouter& router) : router_(router) {}

            ~End() override { router_.disconnected = true; }

            muster::Coro<std::string> read() override { return router_.wire.read(); }

            muster::Coro<void> write(std::string text) override {
                router_.take(text);
                co_return;
            }

            muster::Coro<void> close() override {
                router_.said_goodbye = true;
                co_return;
            }

        private:
            FakeRouter& router_;
        };

        wire.say(first_words.value_or(greeting + prompt()));
        return std::make_unique<End>(*this);
    }

    static std::string crlf(std::string_view text) {
        std::string result;
        for (const char c : text) {
            result += c == '\n' ? "\r\n" : std::string(1, c);
        }
        return result;
    }

private:
    void take(std::string_view text) {
        for (const char c : text) {
            if (c == '\x16') {
                continue;
            }
            if (c != '\n') {
                line_ += c;
                continue;
            }
            const std::string line = std::exchange(line_, {});
            received.push_back(line);
            obey(line);
        }
    }

    void send(std::string bytes) {
        if (latency.count() == 0) {
            wire.say(bytes);
        } else {
            wire.say_later(latency, std::move(bytes));
        }
    }

    void obey(const std::string& line) {
        if (asks_secret_) {
            asks_secret_ = false;
            if (line == secret) {
                mode = "privileged";
                send("\r\n" + prompt());
            } else if (++refused_ < 3) {
                asks_secret_ = true;
                send("\r\nPassword: ");
            } else {
                send("\r\n% Bad secrets\r\n\r\n" + prompt());
            }
            return;
        }
        if (special) {
            if (const auto bytes = special(line)) {
                send(*bytes);
                return;
            }
        }
        const std::string echo = echoes ? line + "\r\n" : "\r\n";
        if (line == "enable" && mode == "exec") {
            asks_secret_ = true;
            refused_ = 0;
            send(echo + "Password: ");
            return;
        }
        if (line == "configure terminal" && mode == "privileged") {
            mode = "config";
            send(echo + "Enter configuration commands, one per line.  End with CNTL/Z.\r\n" +
                 prompt());
            return;
        }
        if (line == "end" && mode.starts_with("config")) {
            mode = "privileged";
            send(echo + prompt());
            return;
        }
        if (line.starts_with("interface ") && mode.starts_with("config")) {
            mode = "config-if";
        }
        if (line.starts_with("hostname ") && mode.starts_with("config")) {
            hostname = line.substr(9);
        }
        const auto answer = answers.find(line);
        send(echo + (answer == answers.end() ? "" : crlf(answer->second)) + prompt());
    }

    std::string line_;
    bool asks_secret_ = false;
    int refused_ = 0;
};

/// Device data for a FakeRouter.
inline muster::device::Device fake_device(std::string platform = "cisco_ios") {
    muster::device::Device device;
    device.name = "r1";
    device.host = "192.0.2.1";
    device.platform = std::move(platform);
    device.username = "ops";
    device.password = "pa55-word";
    device.secret = "s3cret-enable";
    return device;
}
