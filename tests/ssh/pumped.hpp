#pragma once

#include "ssh/engine.hpp"
#include "ssh/methods.hpp"

#include <muster/ssh/private_key.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>
#include <thread>
#include <utility>

template <class Step>
class Waiting : public muster::ssh::detail::Operation {
public:
    explicit Waiting(Step step) : step_(std::move(step)) {}

    int step() override { return step_(); }

    void wake() noexcept override {}

private:
    Step step_;
};

/// An engine and a socket, pumped by poll(2): what the loop does, without the loop.
class Pumped {
public:
    explicit Pumped(int fd, const muster::ssh::detail::Methods& methods =
                                muster::ssh::detail::default_methods())
        : engine(methods), fd_(fd) {}

    Pumped(const Pumped&) = delete;
    Pumped& operator=(const Pumped&) = delete;

    ~Pumped() { ::close(fd_); }

    muster::ssh::detail::Engine engine;

    /// Steps until there is a result; `chunk` limits how much is read at once.
    template <class Step>
    int drive(Step step) {
        Waiting<Step> operation(std::move(step));
        engine.start(operation);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!operation.finished() && std::chrono::steady_clock::now() < deadline &&
               received < budget) {
            transfer();
        }
        compute();
        flush();
        const int result = operation.finished() ? operation.result() : cut_off;
        engine.finish(operation);
        return result;
    }

    static constexpr int cut_off = -99'999;

    std::size_t chunk = 65536;
    std::size_t received = 0;
    int computed = 0; ///< how often the engine asked for another thread
    /// After so many bytes from the server, operations are cut off where they stand.
    std::size_t budget = std::numeric_limits<std::size_t>::max();

    /// Read nothing until the server has sent its last byte.
    bool until_hangup = false;

private:
    void flush() {
        pending_ += engine.take_output();
        while (!pending_.empty()) {
            const ssize_t sent = ::send(fd_, pending_.data(), pending_.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                pending_.clear();
                return;
            }
            pending_.erase(0, static_cast<std::size_t>(sent));
        }
    }

    // On another thread, as the loop has it.
    void compute() {
        while (engine.wants_compute()) {
            ++computed;
            engine.begin_compute();
            std::thread([this] { engine.compute(); }).join();
            engine.end_compute();
        }
    }

    void transfer() {
        compute();
        flush();
        struct pollfd ready{fd_, POLLIN, 0};

        if (::poll(&ready, 1, 1000) <= 0) {
            return;
        }
        std::string bytes(chunk, '\0');
        const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
        if (got > 0) {
            bytes.resize(static_cast<std::size_t>(got));
            received += bytes.size();
            engine.receive(bytes);
        } else {
            engine.receive_eof("the connection was closed by the device");
        }
    }

    int fd_;
    std::string pending_;
};

/// Logs in with a key; what the engine asks for is signed at once.
inline int log_in(Pumped& connection, const std::string& user, const muster::ssh::PrivateKey& key) {
    muster::ssh::detail::SignRequest request;
    int code = 0;
    do {
        if (request.waiting()) {
            request.signature = key.sign(request.algorithm, request.data);
        }
        code = connection.drive(
            [&] { return connection.engine.login_key(user, key.public_key(), request); });
    } while (code == muster::ssh::detail::signature_wanted);
    return code;
}
