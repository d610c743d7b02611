#pragma once
/// The exceptions muster throws.
///
/// Everything that reports a failure derives from `Error`. The two that are requests rather than
/// failures, `CancelledError` and `KeyboardInterrupt`, derive from nothing, so that
/// `catch (const std::exception&)` cannot swallow them (they are BaseExceptions in Python).

#include <stdexcept>
#include <string>
#include <utility>

namespace muster {

/// Base of every failure muster reports.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A deadline passed (Python: TimeoutError).
class TimeoutError : public Error {
public:
    TimeoutError() : Error("timed out") {}

    using Error::Error;
};

/// The operation does not fit the state of a task or future (asyncio.InvalidStateError).
class InvalidStateError : public Error {
public:
    using Error::Error;
};

/// Wrong use of the library: the message says what was expected (Python: RuntimeError).
class RuntimeError : public Error {
public:
    using Error::Error;
};

/// An argument is out of its domain (Python: ValueError).
class ValueError : public Error {
public:
    using Error::Error;
};

/// There is nothing under this key or name (Python: LookupError).
class LookupError : public Error {
public:
    using Error::Error;
};

/// `get_nowait()` on an empty queue (asyncio.QueueEmpty).
class QueueEmpty : public Error {
public:
    QueueEmpty() : Error("queue is empty") {}
};

/// `put_nowait()` on a full queue (asyncio.QueueFull).
class QueueFull : public Error {
public:
    QueueFull() : Error("queue is full") {}
};

/// The queue was shut down (asyncio.QueueShutDown).
class QueueShutDown : public Error {
public:
    QueueShutDown() : Error("queue is shut down") {}
};

/// An item was sent to a channel that nobody receives from any more (anyio.BrokenResourceError).
class BrokenResourceError : public Error {
public:
    BrokenResourceError() : Error("all receivers of the channel are closed") {}
};

/// An end of a channel was used after its close() (anyio.ClosedResourceError).
class ClosedResourceError : public Error {
public:
    ClosedResourceError() : Error("this end of the channel is closed") {}
};

/// The barrier was aborted, or reset while tasks waited at it (asyncio.BrokenBarrierError).
class BrokenBarrierError : public RuntimeError {
public:
    using RuntimeError::RuntimeError;
};

/// An executor's worker could not be initialised (concurrent.futures.BrokenExecutor).
class BrokenExecutor : public RuntimeError {
public:
    using RuntimeError::RuntimeError;
};

/// A thread pool whose initializer threw (concurrent.futures.thread.BrokenThreadPool).
class BrokenThreadPool : public BrokenExecutor {
public:
    using BrokenExecutor::BrokenExecutor;
};

/// Thrown at the await of a task that was cancelled (asyncio.CancelledError). Let it pass, or
/// clean up and rethrow; swallow it only together with `Task::uncancel()`.
class CancelledError {
public:
    CancelledError() = default;

    explicit CancelledError(std::string message) : message_(std::move(message)) {}

    /// The message given to `cancel(msg)`; empty when there was none.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    std::string message_;
};

/// Ctrl-C ended `run()` (Python: KeyboardInterrupt).
class KeyboardInterrupt {};

} // namespace muster
