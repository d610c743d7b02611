#pragma once
/// Results that travel between threads (Python's concurrent.futures.Future).

#include <muster/core/clock.hpp>
#include <muster/core/error.hpp>
#include <muster/core/function.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace muster::concurrent {

/// Is told of exceptions that have nobody to be thrown at. `where` says what was running.
using ErrorHandler = std::function<void(std::string_view where, std::exception_ptr error)>;

/// Sets who is told of exceptions which reach nobody: those of done callbacks, of `execute()`d
/// work, of thread initializers, and those of futures whose last handle went before anybody asked.
/// Called on the thread where it happened; what it throws is dropped. Empty: print to stderr, as at
/// the start. Thread-safe. Returns the handler that was set before.
ErrorHandler set_error_handler(ErrorHandler handler);

template <class T>
class Future;
class AnyFuture;

namespace detail {

/// Hands `error` to the handler; never throws.
void report_error(std::string_view where, const std::exception_ptr& error) noexcept;

/// A deadline on the real clock: a blocked thread cannot wait for a virtual one. Empty is never.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/// Counts `limit` from now.
Deadline deadline_of(const TimeLimit& limit) noexcept;

/// Waits for `ready` until `deadline`; whether it is ready.
template <class Predicate>
bool wait_until(std::condition_variable& condition, std::unique_lock<std::mutex>& lock,
                const Deadline& deadline, Predicate ready) {
    if (deadline) {
        return condition.wait_until(lock, *deadline, ready);
    }
    condition.wait(lock, ready);
    return true;
}

struct WaitNode;

/// An owner of a future's state. Counted by the state itself, because the producer gives up its
/// share while it holds the state's mutex, see `FutureState::finish`.
template <class State>
class StateRef {
public:
    StateRef() noexcept = default;

    explicit StateRef(State& state) noexcept : state_(&state) { state_->retain(); }

    StateRef(const StateRef& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) {
            state_->retain();
        }
    }

    StateRef(StateRef&& other) noexcept : state_(other.detach()) {}

    template <std::derived_from<State> Derived>
    StateRef(StateRef<Derived> other) noexcept : state_(other.detach()) {}

    StateRef& operator=(StateRef other) noexcept {
        swap(other);
        return *this;
    }

    void swap(StateRef& other) noexcept { std::swap(state_, other.state_); }

    ~StateRef() {
        if (state_ != nullptr) {
            state_->release();
        }
    }

    explicit operator bool() const noexcept { return state_ != nullptr; }

    [[nodiscard]] State* get() const noexcept { return state_; }

    State* operator->() const noexcept { return state_; }

    State& operator*() const noexcept { return *state_; }

    /// Gives the share to the caller.
    [[nodiscard]] State* detach() noexcept { return std::exchange(state_, nullptr); }

    friend bool operator==(const StateRef&, const StateRef&) noexcept = default;

private:
    State* state_ = nullptr;
};

/// What all handles of one future share, whatever its type. Every member function is thread-safe
/// but `store_error`, which is the producer's.
class FutureState {
public:
    using Callback = UniqueFunction<void(StateRef<FutureState>)>;

    FutureState() = default;
    FutureState(const FutureState&) = delete;
    FutureState& operator=(const FutureState&) = delete;
    virtual ~FutureState();

    [[nodiscard]] bool done() const;
    [[nodiscard]] bool running() const;
    [[nodiscard]] bool cancelled() const;
    bool cancel();
    bool set_running_or_notify_cancel();
    void add_done_callback(Callback callback);
    void ignore_errors() noexcept;

    /// Whether it finished with an exception; does not count as asking for it.
    [[nodiscard]] bool failed() const;

    /// The exception or null. Throws TimeoutError, CancelledError.
    std::exception_ptr exception(const Deadline& deadline);

    /// Returns when there is a value; throws what there is instead. With `take`, the value is
    /// the caller's, and nobody gets it after this.
    void await_value(const Deadline& deadline, bool take);

    /// The producer's right to store an outcome; from here on `cancel()` is refused.
    /// Throws InvalidStateError when there is an outcome already.
    void claim();

    void store_error(std::exception_ptr error) noexcept { error_ = std::move(error); }

    /// Publishes what was stored and wakes the waiters. Without callbacks `self`, the producer's
    /// share, is given up *before* anybody can know: what a waiter drops is destroyed by the
    /// waiter, never later by the producer's thread. Else the caller passes both to
    /// `run_callbacks`.
    [[nodiscard]] static std::vector<Callback> finish(StateRef<FutureState>& self) noexcept;

    /// Runs callbacks in order; what they throw is reported. The last one is given `self`, so that
    /// it can pass the producer's share on.
    static void run_callbacks(StateRef<FutureState> self, std::vector<Callback> callbacks) noexcept;

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

    void release() noexcept;

    /// Whether nobody but the caller refers to this.
    [[nodiscard]] bool unshared() const noexcept {
        return references_.load(std::memory_order_relaxed) == 1;
    }

    /// Tells `node` when this is done; at once if it is.
    void add_waiter(WaitNode& node);
    void remove_waiter(WaitNode& node) noexcept;

private:
    enum class Phase : unsigned char { pending, running, cancelled, finished };

    [[nodiscard]] bool done_locked() const noexcept { return phase_ >= Phase::cancelled; }

    std::vector<Callback> complete_locked(Phase phase) noexcept;
    void await_locked(std::unique_lock<std::mutex>& lock, const Deadline& deadline);

    std::atomic<std::size_t> references_ = 0;
    mutable std::mutex mutex_;
    std::condition_variable completed_;
    std::vector<Callback> callbacks_;
    WaitNode* waiters_ = nullptr;
    std::exception_ptr error_;
    Phase phase_ = Phase::pending;
    bool cancel_seen_ = false; // by the producer
    bool retrieved_ = false;
    bool taken_ = false;
};

/// A value of type T as it is kept: references as pointers, void as an empty value.
template <class T>
using Kept = std::conditional_t<
    std::is_void_v<T>, std::monostate,
    std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<std::remove_reference_t<T>>,
                       std::remove_const_t<T>>>;

/// What `result()` of an lvalue gives.
template <class T>
using ResultReference =
    std::conditional_t<std::is_void_v<T>, void, std::add_lvalue_reference_t<std::add_const_t<T>>>;

template <class T>
class TypedFutureState final : public FutureState {
public:
    /// Stores a value; between `claim` (or being set running) and `finish`.
    template <class... Args>
    void store(Args&&... args) {
        if constexpr (std::is_reference_v<T>) {
            value_.emplace(std::addressof(args)...);
        } else {
            value_.emplace(std::forward<Args>(args)...);
        }
    }

    /// Only after `await_value()` has found one.
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access)
    Kept<T>& value() noexcept { return *value_; }

private:
    std::optional<Kept<T>> value_;
};

struct StateAccess;

} // namespace detail

/// The untyped handle of a `Future<T>`: for containers of mixed futures. Copyable; all copies mean
/// the same future and compare equal. Thread-safe, as long as one handle object is not itself
/// changed by two threads. A handle that was moved from is empty: it may be assigned to or
/// destroyed, everything else throws InvalidStateError.
class AnyFuture {
public:
    /// An empty handle.
    AnyFuture() noexcept = default;

    /// Whether this refers to a future.
    [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(state_); }

    /// Whether there is a result, an exception or a cancellation.
    [[nodiscard]] bool done() const { return state().done(); }

    /// Whether it is being worked on; it can no longer be cancelled.
    [[nodiscard]] bool running() const { return state().running(); }

    [[nodiscard]] bool cancelled() const { return state().cancelled(); }

    /// Cancels what has not started. False, and no effect, when it is running or has finished. True
    /// also when it was cancelled before. Runs the done callbacks.
    // NOLINTNEXTLINE(modernize-use-nodiscard)
    bool cancel() const { return state().cancel(); }

    /// The exception, or null after a success. Waits up to `timeout`: TimeoutError. CancelledError
    /// when it was cancelled.
    [[nodiscard]] std::exception_ptr exception(TimeLimit timeout = std::nullopt) const {
        return state().exception(detail::deadline_of(timeout));
    }

    /// Calls `callback(future)` or `callback()` once this is done; see `Future`.
    template <class F>
        requires std::invocable<std::decay_t<F>&, AnyFuture> || std::invocable<std::decay_t<F>&>
    void add_done_callback(F&& callback) const {
        add_callback<AnyFuture>(std::forward<F>(callback));
    }

    /// Says that a failure of this future needs no report even if nobody asks for it.
    void ignore_errors() const { state().ignore_errors(); }

    /// Two handles are equal when they mean the same future.
    friend bool operator==(const AnyFuture&, const AnyFuture&) noexcept = default;

protected:
    explicit AnyFuture(detail::StateRef<detail::FutureState> state) noexcept
        : state_(std::move(state)) {}

    [[nodiscard]] detail::FutureState& state() const {
        if (!state_) {
            throw InvalidStateError("this concurrent::Future is empty: it was moved from, or "
                                    "never given a future");
        }
        return *state_;
    }

    template <class Handle, class F>
    void add_callback(F&& callback) const {
        // Holds no handle of its own: a future that owns itself would never be freed.
        state().add_done_callback([callback = std::forward<F>(callback)](
                                      detail::StateRef<detail::FutureState> state) mutable {
            if constexpr (std::invocable<std::decay_t<F>&, Handle>) {
                std::invoke(callback, Handle(std::move(state)));
            } else {
                state = {}; // so that it is not kept while the callback wakes others
                std::invoke(callback);
            }
        });
    }

private:
    friend struct detail::StateAccess;
    friend struct std::hash<AnyFuture>;

    detail::StateRef<detail::FutureState> state_;
};

/// A handle of the result which another thread will give (concurrent.futures.Future). T may be
/// move-only, void or an lvalue reference.
///
/// The result lives in what all handles share. `result()` of an lvalue gives a reference that is
/// good while a handle lives; `std::move(future).result()`, and so `submit(...).result()`, moves
/// the result out, whoever else holds a handle: their `result()` throws InvalidStateError from then
/// on, and a reference they hold refers to a moved-from value.
///
/// An exception is one object: every `result()` throws the same one. One that nobody asks for with
/// `result()` or `exception()` is reported (`set_error_handler`) when the last handle goes.
///
/// A cancelled future is done at once for waiters of every kind; `wait` and `as_completed` of
/// Python wait until the executor has noticed.
template <class T>
class Future : public AnyFuture {
    static_assert(!std::is_rvalue_reference_v<T>, "a Future of an rvalue reference would dangle");

public:
    using value_type = T;

    /// An empty handle.
    Future() noexcept = default;

    /// The result, after waiting up to `timeout`. Throws what the work threw; TimeoutError, and
    /// the work goes on; CancelledError when the future was cancelled.
    detail::ResultReference<T> result(TimeLimit timeout = std::nullopt) const& {
        this->state().await_value(detail::deadline_of(timeout), false);
        if constexpr (std::is_reference_v<T>) {
            return *typed_state().value();
        } else if constexpr (!std::is_void_v<T>) {
            return typed_state().value();
        }
    }

    /// As above, and moves the result out (copies nothing).
    T result(TimeLimit timeout = std::nullopt) && {
        constexpr bool take = !std::is_void_v<T> && !std::is_reference_v<T>;
        this->state().await_value(detail::deadline_of(timeout), take);
        if constexpr (std::is_reference_v<T>) {
            return *typed_state().value();
        } else if constexpr (!std::is_void_v<T>) {
            return std::move(typed_state().value());
        }
    }

    /// Calls `callback(future)` or `callback()` once this is done: on the thread that completes or
    /// cancels it, in the order of registration, or here and now if it is done. What the callback
    /// throws is reported, not thrown. The callback, which need only be movable, is destroyed after
    /// the call.
    template <class F>
        requires std::invocable<std::decay_t<F>&, Future<T>> || std::invocable<std::decay_t<F>&>
    void add_done_callback(F&& callback) const {
        this->template add_callback<Future<T>>(std::forward<F>(callback));
    }

private:
    friend class AnyFuture; // hands itself to callbacks
    friend struct detail::StateAccess;

    explicit Future(detail::StateRef<detail::FutureState> state) noexcept
        : AnyFuture(std::move(state)) {}

    [[nodiscard]] detail::TypedFutureState<T>& typed_state() const {
        return static_cast<detail::TypedFutureState<T>&>(this->state());
    }
};

namespace detail {

/// How the library makes handles and looks behind them.
struct StateAccess {
    template <class T>
    static Future<T> future(StateRef<TypedFutureState<T>> state) noexcept {
        return Future<T>(std::move(state));
    }

    static FutureState& state(const AnyFuture& future) { return future.state(); }
};

} // namespace detail

/// The producer's side of a `Future<T>`, for executors and bridges (in Python the same methods are
/// on Future, "for unit tests and executors only"). Movable; used by one thread at a time, while
/// the futures are used by others. Completing the future uses the promise up: what is called on it
/// then, and on one that was moved from, throws InvalidStateError. A promise that is destroyed
/// before that fails its future with RuntimeError.
template <class T>
class [[nodiscard]] Promise {
public:
    Promise() : state_(*new detail::TypedFutureState<T>()) {}

    Promise(Promise&&) noexcept = default;

    Promise& operator=(Promise&& other) noexcept {
        if (this != &other) {
            abandon();
            state_ = std::move(other.state_);
        }
        return *this;
    }

    ~Promise() { abandon(); }

    /// A handle of the future; as many as wanted.
    [[nodiscard]] Future<T> future() const { return detail::StateAccess::future(own_state()); }

    /// To be called before the work starts. False: it was cancelled, do not start. From true on the
    /// future is running and cannot be cancelled. RuntimeError when called again.
    [[nodiscard]] bool set_running_or_notify_cancel() {
        return own_state()->set_running_or_notify_cancel();
    }

    /// Makes the result from `args` (none for void) and completes the future; runs the callbacks.
    /// InvalidStateError when it was cancelled. If making the result throws, that passes through
    /// and the future stays running.
    template <class... Args>
        requires(std::is_reference_v<T> ? sizeof...(Args) == 1
                                        : std::constructible_from<detail::Kept<T>, Args...>)
    void set_result(Args&&... args) {
        own_state()->claim();
        state_->store(std::forward<Args>(args)...);
        publish();
    }

    /// Completes the future with an exception. InvalidStateError when it was cancelled; ValueError
    /// for null.
    void set_exception(std::exception_ptr error) {
        if (error == nullptr) {
            throw ValueError("set_exception() needs an exception; the pointer is null");
        }
        own_state()->claim();
        state_->store_error(std::move(error));
        publish();
    }

    /// The same with an exception object.
    template <class E>
        requires(!std::convertible_to<E, std::exception_ptr>)
    void set_exception(E&& error) {
        set_exception(std::make_exception_ptr(std::forward<E>(error)));
    }

private:
    const detail::StateRef<detail::TypedFutureState<T>>& own_state() const {
        if (!state_) {
            throw InvalidStateError("this concurrent::Promise is empty: it has completed its "
                                    "future, or was moved from");
        }
        return state_;
    }

    void publish() noexcept {
        detail::StateRef<detail::FutureState> self(std::move(state_));
        auto callbacks = detail::FutureState::finish(self);
        detail::FutureState::run_callbacks(std::move(self), std::move(callbacks));
    }

    void abandon() noexcept {
        if (!state_ || state_->done()) {
            return;
        }
        if (state_->unshared()) {
            state_->ignore_errors(); // no handle is left to be failed, callbacks may be
        }
        try {
            set_exception(RuntimeError("the promise of this future was destroyed before it was "
                                       "given a result"));
        } catch (const InvalidStateError&) { // NOLINT(bugprone-empty-catch): cancelled meanwhile
        }
    }

    detail::StateRef<detail::TypedFutureState<T>> state_;
};

} // namespace muster::concurrent

/// Futures as keys: `std::unordered_map<Future<Page>, Url>`.
template <>
struct std::hash<muster::concurrent::AnyFuture> {
    std::size_t operator()(const muster::concurrent::AnyFuture& future) const noexcept {
        return std::hash<const void*>()(future.state_.get());
    }
};

template <class T>
struct std::hash<muster::concurrent::Future<T>> : std::hash<muster::concurrent::AnyFuture> {};
