#pragma once
/// Boost.Asio and muster together, both ways: `use_coro` awaits an Asio operation inside a Coro,
/// `co_spawn` makes a Coro an Asio operation. The one header of muster that includes Asio.

#include <muster/core/detail/frame_pool.hpp>
#include <muster/core/detail/promise.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/task.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/version.hpp>
#include <boost/system/system_error.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace muster {

/// Completion token: `std::size_t n = co_await socket.async_read_some(buffer, use_coro)`. An error
/// is thrown as boost::system::system_error; `asio::as_tuple(use_coro)` gives it as a value.
///
/// Cancelling the task cancels the operation, composed ones too, and CancelledError is thrown when
/// it has ended. One that completes all the same gives its result, and the cancellation comes at
/// the next suspension, so that no bytes are lost. The I/O object must belong to the io_context of
/// the loop, or complete there; it and what the operation refers to must live until the await is
/// over, also when the operation has ended and the task has not had its turn yet.
struct UseCoro {};

inline constexpr UseCoro use_coro{};

namespace detail {

/// Defined in the library for the Asio configuration it was built with, and for no other: a program
/// that was compiled with different BOOST_ASIO_* macros does not link.
template <unsigned Configuration, unsigned Version>
void asio_configuration_agrees();

inline constexpr unsigned asio_configuration =
#if defined(BOOST_ASIO_DISABLE_THREADS)
    1U +
#endif
#if defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING)
    2U +
#endif
#if defined(BOOST_ASIO_HAS_IO_URING)
    4U +
#endif
#if defined(BOOST_ASIO_DISABLE_EPOLL) || !defined(BOOST_ASIO_HAS_EPOLL)
    8U +
#endif
#if defined(BOOST_ASIO_USE_TS_EXECUTOR_AS_DEFAULT)
    16U +
#endif
#if !defined(BOOST_ASIO_NO_DEPRECATED)
    32U +
#endif
    0U;

[[maybe_unused]] [[gnu::used, gnu::retain]] static void (*const asio_configuration_check)() =
    &asio_configuration_agrees<asio_configuration, BOOST_ASIO_VERSION>;

/// Handlers' memory comes from the frame pool.
template <class T>
struct PoolAllocator {
    using value_type = T;

    PoolAllocator() = default;

    template <class U>
    PoolAllocator(const PoolAllocator<U>&) noexcept {}

    T* allocate(std::size_t count) { return static_cast<T*>(pool_allocate(count * sizeof(T))); }

    void deallocate(T* memory, std::size_t count) noexcept { pool_free(memory, count * sizeof(T)); }

    template <class U>
    friend bool operator==(const PoolAllocator&, const PoolAllocator<U>&) noexcept {
        return true;
    }
};

/// An Asio operation under way. It lies in memory of its own, since it may outlive the coroutine
/// that waits for it: a destroyed frame detaches from it.
template <class... Args>
class AsioOperation final : public ExternalOperation, public Pooled {
public:
    AsioOperation(LoopCore& core, TaskBase& task) : core_(&core), task_(&task) {
        core.add_external(*this);
    }

    [[nodiscard]] boost::asio::cancellation_slot slot() noexcept { return signal_.slot(); }

    [[nodiscard]] boost::asio::io_context::executor_type executor() const noexcept {
        return core_->loop().io_context().get_executor();
    }

    /// The handler was called.
    void complete(Args... args) {
        LoopCore* core = core_;
        TaskBase* task = task_;
        if (core == nullptr || task == nullptr) {
            return;
        }
        core->remove_external(*this);
        results_.emplace(std::move(args)...);
        if (suspended_) {
            task->wake();
            if (!emitting_) {
                core->drain_now();
            }
        }
    }

    /// The handler is gone, called or not.
    void handler_gone() noexcept {
        if (core_ != nullptr) {
            core_->remove_external(*this);
        }
        handler_gone_ = true;
        delete_if_unused();
    }

    /// The awaiter is gone.
    void detach() noexcept {
        task_ = nullptr;
        if (!handler_gone_ && !results_) {
            emit_cancel();
        } else {
            delete_if_unused();
        }
    }

    void suspended() noexcept { suspended_ = true; }

    void emit_cancel() noexcept {
        // Some operations complete, and destroy their handler, inside emit().
        emitting_ = true;
        signal_.emit(boost::asio::cancellation_type::all);
        emitting_ = false;
        delete_if_unused();
    }

    [[nodiscard]] std::optional<std::tuple<Args...>>& results() noexcept { return results_; }

private:
    void abandon() noexcept override { core_ = nullptr; }

    void delete_if_unused() noexcept {
        if (handler_gone_ && task_ == nullptr && !emitting_) {
            delete this;
        }
    }

    LoopCore* core_;
    TaskBase* task_; // null: nobody waits any more
    boost::asio::cancellation_signal signal_;
    std::optional<std::tuple<Args...>> results_;
    bool handler_gone_ = false;
    bool suspended_ = false;
    bool emitting_ = false;
};

/// What Asio calls when the operation has ended.
template <class... Args>
class AsioHandler {
public:
    using executor_type = boost::asio::io_context::executor_type;
    using allocator_type = PoolAllocator<void*>;
    using cancellation_slot_type = boost::asio::cancellation_slot;

    explicit AsioHandler(AsioOperation<Args...>& operation) noexcept
        : operation_(&operation), executor_(operation.executor()) {}

    AsioHandler(AsioHandler&& other) noexcept
        : operation_(std::exchange(other.operation_, nullptr)), executor_(other.executor_) {}

    AsioHandler& operator=(AsioHandler&&) = delete;

    ~AsioHandler() {
        if (operation_ != nullptr) {
            operation_->handler_gone();
        }
    }

    [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }

    [[nodiscard]] allocator_type get_allocator() const noexcept { return {}; }

    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
        return operation_->slot();
    }

    void operator()(Args... args) {
        // What runs from here may go on in the same drain for long: the operation is over first.
        AsioHandler self(std::move(*this));
        self.operation_->complete(std::move(args)...);
    }

private:
    AsioOperation<Args...>* operation_;
    executor_type executor_;
};

/// The error code among the arguments of a completion, whichever form it has.
inline const boost::system::error_code* find_error(const boost::system::error_code& error) {
    return &error;
}

template <class T>
const boost::system::error_code* find_error(const T&) {
    return nullptr;
}

template <class First, class... Rest>
const boost::system::error_code* find_error(const std::tuple<First, Rest...>& arguments) {
    return find_error(std::get<0>(arguments));
}

inline const boost::system::error_code* find_error(const std::tuple<>&) { return nullptr; }

/// What co_await gives for a completion: the arguments behind the error; one of them as it is,
/// several as a tuple.
template <class... Args>
auto completion_value(std::tuple<Args...>&& arguments) {
    if constexpr (sizeof...(Args) == 0) {
        return;
    } else {
        using First = std::tuple_element_t<0, std::tuple<Args...>>;
        constexpr bool code = std::is_same_v<First, boost::system::error_code>;
        constexpr bool exception = std::is_same_v<First, std::exception_ptr>;
        if constexpr (code) {
            if (std::get<0>(arguments)) {
                throw boost::system::system_error(std::get<0>(arguments));
            }
        } else if constexpr (exception) {
            if (std::get<0>(arguments)) {
                std::rethrow_exception(std::get<0>(arguments));
            }
        }
        if constexpr (code || exception) {
            if constexpr (sizeof...(Args) == 2) {
                return std::get<1>(std::move(arguments));
            } else if constexpr (sizeof...(Args) > 2) {
                return std::apply(
                    [](First&&, auto&&... rest) {
                        return std::tuple<std::decay_t<decltype(rest)>...>(std::move(rest)...);
                    },
                    std::move(arguments));
            }
        } else if constexpr (sizeof...(Args) == 1) {
            return std::get<0>(std::move(arguments));
        } else {
            return std::move(arguments);
        }
    }
}

template <class Initiation, class InitiationArgs, class... Args>
class AsioAwaiter final : public Waiter {
public:
    AsioAwaiter(Initiation&& initiation, InitiationArgs&& arguments)
        : initiation_(std::move(initiation)), arguments_(std::move(arguments)) {}

    AsioAwaiter(const AsioAwaiter&) = delete;
    AsioAwaiter& operator=(const AsioAwaiter&) = delete;

    ~AsioAwaiter() {
        if (operation_ != nullptr) {
            operation_->detach();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> P>
    bool await_suspend(std::coroutine_handle<P> handle) {
        task_ = handle.promise().task;
        if (task_->take_cancel()) {
            task_->throw_cancelled(); // nothing was begun, so nothing can be lost
        }
        auto operation = std::make_unique<AsioOperation<Args...>>(*task_->loop(), *task_);
        operation_ = operation.get();
        AsioHandler<Args...> handler(*operation.release());
        std::apply(
            [&](auto&&... arguments) {
                std::move(initiation_)(std::move(handler), std::move(arguments)...);
            },
            std::move(arguments_));
        if (operation_->results()) {
            return false;
        }
        operation_->suspended();
        task_->suspend(handle.promise(), *this);
        return true;
    }

    auto await_resume() {
        std::tuple<Args...> results = std::move(*operation_->results());
        if (cancel_requested_) {
            const boost::system::error_code* error = find_error(results);
            if (error != nullptr && *error == boost::asio::error::operation_aborted) {
                task_->throw_cancelled();
            }
            if (task_->cancelling() > 0) {
                task_->latch_cancel({});
            }
        }
        return completion_value(std::move(results));
    }

    bool cancel(const std::string&) noexcept override {
        if (operation_->results()) {
            return false;
        }
        cancel_requested_ = true;
        operation_->emit_cancel();
        return true;
    }

    [[nodiscard]] std::string describe() const override { return "I/O"; }

private:
    Initiation initiation_;
    InitiationArgs arguments_;
    TaskBase* task_ = nullptr;
    AsioOperation<Args...>* operation_ = nullptr;
    bool cancel_requested_ = false;
};

/// An Asio operation that begins when it is awaited.
template <class Initiation, class InitiationArgs, class... Args>
class [[nodiscard("an operation with use_coro does nothing until it is awaited")]] AsioAwaitable {
public:
    AsioAwaitable(Initiation initiation, InitiationArgs arguments)
        : initiation_(std::move(initiation)), arguments_(std::move(arguments)) {}

    AsioAwaiter<Initiation, InitiationArgs, Args...> operator co_await() && {
        return {std::move(initiation_), std::move(arguments_)};
    }

private:
    Initiation initiation_;
    InitiationArgs arguments_;
};

/// `co_await socket.async_read_some(buffer, asio::deferred)`: a deferred operation as it is.
template <class Operation>
struct DeferredAdapter {
    static auto get(Operation&& operation) { return get_awaiter(std::move(operation)(use_coro)); }
};

template <class Signature, class Initiation, class... Args>
struct AwaitAdapter<boost::asio::deferred_async_operation<Signature, Initiation, Args...>>
    : DeferredAdapter<boost::asio::deferred_async_operation<Signature, Initiation, Args...>> {};

} // namespace detail
} // namespace muster

namespace boost::asio {

/// How Asio's initiating functions serve `muster::use_coro`.
template <class... Args>
class async_result<muster::UseCoro, void(Args...)> {
public:
    template <class Initiation, class... InitiationArgs>
    static auto initiate(Initiation&& initiation, muster::UseCoro, InitiationArgs&&... arguments) {
        using Arguments = std::tuple<std::decay_t<InitiationArgs>...>;
        return muster::detail::AsioAwaitable<std::decay_t<Initiation>, Arguments,
                                             std::decay_t<Args>...>(
            std::forward<Initiation>(initiation),
            Arguments(std::forward<InitiationArgs>(arguments)...));
    }
};

} // namespace boost::asio

namespace muster {

namespace detail {

/// A Coro that runs as an Asio operation.
template <class T, class Handler>
class SpawnedCoro : public std::enable_shared_from_this<SpawnedCoro<T, Handler>> {
public:
    SpawnedCoro(EventLoop& loop, Coro<T> coro, Handler handler)
        : loop_(loop),
          coro_(std::move(coro)),
          work_(boost::asio::get_associated_executor(handler, loop.io_context().get_executor())),
          handler_(std::move(handler)) {}

    void start() {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([weak = this->weak_from_this()](boost::asio::cancellation_type) {
                if (const auto self = weak.lock()) {
                    self->loop_.call_soon_threadsafe([self] { self->cancel(); });
                }
            });
        }
        loop_.call_soon_threadsafe([self = this->shared_from_this()] { self->run(); });
    }

private:
    void run() {
        task_ = loop_.create_task(std::move(coro_));
        if (cancelled_) {
            task_.cancel();
        }
        task_.add_done_callback(
            [self = this->shared_from_this()](const Task<T>&) { self->finish(); });
    }

    void cancel() {
        cancelled_ = true;
        if (task_.valid()) {
            task_.cancel();
        }
    }

    void finish() {
        Task<T> task = std::exchange(task_, Task<T>());
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        slot.clear();
        std::exception_ptr error;
        if constexpr (std::is_void_v<T>) {
            try {
                task.result();
            } catch (...) {
                error = std::current_exception();
            }
            boost::asio::post(
                work_.get_executor(),
                [handler = std::move(handler_), error]() mutable { std::move(handler)(error); });
        } else {
            T value{};
            try {
                value = std::move(task).result();
            } catch (...) {
                error = std::current_exception();
            }
            boost::asio::post(work_.get_executor(), [handler = std::move(handler_), error,
                                                     value = std::move(value)]() mutable {
                std::move(handler)(error, std::move(value));
            });
        }
        work_.reset();
    }

    EventLoop& loop_;
    Coro<T> coro_;
    boost::asio::executor_work_guard<
        boost::asio::associated_executor_t<Handler, boost::asio::io_context::executor_type>>
        work_;
    Handler handler_;
    Task<T> task_;
    bool cancelled_ = false;
};

template <class T>
struct SpawnSignature {
    using type = void(std::exception_ptr, T);
};

template <>
struct SpawnSignature<void> {
    using type = void(std::exception_ptr);
};

} // namespace detail

/// Runs `coro` as a task of `loop` and completes `token` with `(std::exception_ptr)` or
/// `(std::exception_ptr, T)`: use_future, a callback, use_awaitable, ... From any thread. The
/// token's cancellation slot cancels the task. T must be default constructible. Throws RuntimeError
/// when the loop is closed.
template <class T, class CompletionToken>
auto co_spawn(EventLoop& loop, Coro<T> coro, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, typename detail::SpawnSignature<T>::type>(
        [&loop](auto handler, Coro<T> body) {
            using Handler = std::decay_t<decltype(handler)>;
            std::make_shared<detail::SpawnedCoro<T, Handler>>(loop, std::move(body),
                                                              std::move(handler))
                ->start();
        },
        token, std::move(coro));
}

/// EventLoop::shutdown() for a host that has no coroutines: cancels all tasks, waits for them,
/// completes `token` with `(std::exception_ptr)`.
template <class CompletionToken>
auto async_shutdown(EventLoop& loop, CompletionToken&& token) {
    return co_spawn(loop, loop.shutdown(), std::forward<CompletionToken>(token));
}

} // namespace muster
