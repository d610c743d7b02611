#pragma once

#include <muster/core/coro.hpp>

#include <string>

namespace muster::device {

/// The byte stream a Cli talks on: an SSH shell, a console server's line, a script in a test.
/// Destroying one ends the connection at once.
class Terminal {
public:
    Terminal() = default;
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    virtual ~Terminal() = default;

    /// The next bytes, as soon as there are any; empty once the device has closed. Cancelling it
    /// must lose no bytes: it is called under deadlines shorter than an answer may take.
    virtual Coro<std::string> read() = 0;

    /// Sends all of `text`.
    virtual Coro<void> write(std::string text) = 0;

    /// Says goodbye. Nothing is called after it.
    virtual Coro<void> close() = 0;
};

} // namespace muster::device
