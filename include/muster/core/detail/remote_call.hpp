#pragma once

#include <muster/core/detail/loop_core.hpp>
#include <muster/core/executor.hpp>
#include <muster/core/future.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace muster::detail {

/// A call on its way through an executor and back to its loop: one block of memory for the job, the
/// outcome and the way back. Shared by the two threads: the executor's share goes over to the loop
/// when the call comes back.
class RemoteCall : public Pooled,
                   public concurrent::detail::Job,
                   public ExternalOperation,
                   public PostedNode {
public:
    // --- for the executor ---

    void run() noexcept final;
    concurrent::detail::JobPtr publish(concurrent::detail::JobPtr self) noexcept final;

    void run_callbacks() noexcept final {}

    void fail(concurrent::detail::JobPtr self, std::exception_ptr error) noexcept final;
    void dispose() noexcept final;

    // --- for the loop ---

    /// The call is under way from here on: gives the executor's share.
    [[nodiscard]] concurrent::detail::JobPtr begin() noexcept;

    /// The future was cancelled: takes the call back, if it has not begun.
    void future_cancelled() noexcept;

    void abandon() noexcept final;

protected:
    explicit RemoteCall(LoopCore& core);

    ~RemoteCall() override = default;

    /// Calls the function, keeps what comes of it, and destroys the function.
    virtual void call() noexcept = 0;
    virtual void drop_function() noexcept = 0;
    virtual void keep_error(std::exception_ptr error) noexcept = 0;

    /// Hands what came of it to the future.
    virtual void deliver() noexcept = 0;

    /// The future is done, or nobody's any more.
    virtual void let_future_go() noexcept = 0;

private:
    enum class Phase : std::uint8_t { pending, running, cancelled };

    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;

    /// False when it is in another phase by now.
    bool leave_pending(Phase next) noexcept;

    void send_back(concurrent::detail::JobPtr self) noexcept;
    void leave_loop() noexcept;
    void release() noexcept;

    LoopCore* core_;
    std::shared_ptr<LoopGate> gate_;
    std::atomic<std::uint8_t> shares_ = 2; // the loop's and the executor's
    std::atomic<Phase> phase_ = Phase::pending;
    bool in_loop_ = true; // the loop has its share; for the loop's thread
};

/// The future of a RemoteCall: cancelling it takes the call back.
template <class R>
class RemoteCallFuture final : public WithValue<R, PlainFuture> {
public:
    RemoteCallFuture(LoopCore& core, RemoteCall& call)
        : WithValue<R, PlainFuture>(core), call_(&call) {}

    bool cancel(const std::string& message) noexcept override {
        if (!PlainFuture::cancel(message)) {
            return false;
        }
        if (call_ != nullptr) {
            call_->future_cancelled();
        }
        return true;
    }

    void forget_call() noexcept { call_ = nullptr; }

private:
    RemoteCall* call_;
};

template <class R, class F>
class RemoteCallOf final : public RemoteCall {
public:
    RemoteCallOf(LoopCore& core, F&& function)
        : RemoteCall(core),
          function_(std::move(function)),
          future_(new RemoteCallFuture<R>(core, *this)) {}

    [[nodiscard]] Future<R> future() const { return Future<R>(future_); }

private:
    void call() noexcept override {
        // NOLINTBEGIN(bugprone-unchecked-optional-access): a job runs once
        try {
            if constexpr (std::is_void_v<R>) {
                (*std::move(function_))();
                outcome_.emplace();
            } else if constexpr (std::is_reference_v<R>) {
                outcome_.emplace(std::addressof((*std::move(function_))()));
            } else {
                outcome_.emplace((*std::move(function_))());
            }
        } catch (...) {
            keep_error(std::current_exception());
        }
        // NOLINTEND(bugprone-unchecked-optional-access)
        function_.reset();
    }

    void drop_function() noexcept override { function_.reset(); }

    void keep_error(std::exception_ptr error) noexcept override {
        outcome_.fail(std::move(error), false);
    }

    void deliver() noexcept override {
        RemoteCallFuture<R>& future = *future_;
        if (future.done()) {
            return;
        }
        switch (outcome_.state()) {
        case State::pending: // the executor has dropped it
            future.forget_call();
            future.cancel({});
            break;
        case State::value:
            deliver_value();
            break;
        default:
            deliver_error(future, outcome_.error());
        }
    }

    void deliver_value() noexcept {
        RemoteCallFuture<R>& future = *future_;
        try {
            if constexpr (std::is_void_v<R>) {
                future.slot().emplace();
            } else {
                future.slot().emplace(std::move(outcome_.value()));
            }
        } catch (...) {
            future.finish_error(std::current_exception());
            return;
        }
        future.finish_value();
    }

    void let_future_go() noexcept override {
        future_->forget_call();
        future_ = Ref<RemoteCallFuture<R>>();
    }

    std::optional<F> function_;
    ResultSlot<R> outcome_;
    Ref<RemoteCallFuture<R>> future_; // for the loop's thread
};

/// Ends `future` with what a function has thrown; CancelledError cancels it.
void deliver_error(PlainFuture& future, const std::exception_ptr& error) noexcept;

} // namespace muster::detail
