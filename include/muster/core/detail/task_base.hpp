#pragma once

#include <muster/core/detail/context_cell.hpp>
#include <muster/core/detail/future_base.hpp>
#include <muster/core/detail/list.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/promise.hpp>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

namespace muster::detail {

/// What a suspended task waits on. Lives in an awaiter, in the frame of the waiting coroutine.
class Waiter {
public:
    /// Asks that the wait ends early. True: the task will be woken, and the awaiter's await_resume
    /// answers for the cancellation. False: what is awaited is done already, and the cancellation
    /// stays with the task.
    virtual bool cancel(const std::string& message) noexcept = 0;

    /// What is waited for, in a word or two: "sleep", "lock".
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Whether the wait may last without the task being stuck: it is meant to, or another thread
    /// can end it that the loop knows nothing of.
    [[nodiscard]] virtual bool open_ended() const noexcept { return false; }

protected:
    ~Waiter() = default;
};

class TaskBase;

/// Throws RuntimeError when `task` must not wait for `future`, which belongs to another loop.
void check_same_loop(const TaskBase& task, const FutureBase& future);

/// A scheduled coroutine: the node that lies in the ready list, and asyncio's cancellation rules.
class TaskBase : public FutureBase, public Node {
public:
    TaskBase(LoopCore& loop, PromiseBase& root, ContextRef context) noexcept;

    /// Task.cancel: counts the request and passes it to what the task waits on; if nothing takes
    /// it, it is kept and thrown at the next suspension or resumption.
    bool cancel(const std::string& message) noexcept override;

    /// The task that this entry of the ready list is; null for a callback and the like.
    [[nodiscard]] static TaskBase* of(Node& node) noexcept {
        return node.runs(&TaskBase::on_node) ? &static_cast<TaskBase&>(node) : nullptr;
    }

    TaskBase* as_task() noexcept override { return this; }

    [[nodiscard]] std::string label() const override { return name(); }

    [[nodiscard]] unsigned cancelling() const noexcept { return cancel_requests_; }

    /// Task.uncancel: takes one request back; at zero also one that was not delivered yet.
    unsigned uncancel() noexcept {
        if (cancel_requests_ == 0) {
            return 0;
        }
        --cancel_requests_;
        if (cancel_requests_ == 0) {
            must_cancel_ = false;
        }
        return cancel_requests_;
    }

    /// Schedules the first step, or runs it at once.
    void start(bool eager);

    // --- for awaiters, while this task is the one that runs ---

    /// Stops here: `leaf` is the coroutine that awaits, `waiter` what it waits on. A cancellation
    /// that came earlier is delivered now.
    void suspend(PromiseBase& leaf, Waiter& waiter) noexcept {
        leaf_ = &leaf;
        waiter_ = &waiter;
        if (must_cancel_) [[unlikely]] {
            loop()->cancel_wait_of(*this);
        }
    }

    /// Stops here for one turn.
    void yield(PromiseBase& leaf) noexcept {
        leaf_ = &leaf;
        wake();
    }

    /// Makes the task ready.
    void wake() noexcept {
        if (!Node::linked()) {
            loop()->append(*this);
        }
    }

    /// Takes a wake() back whose reason is gone: the task goes on waiting. False when it resumes
    /// all the same, because a cancellation has come since.
    [[nodiscard]] bool unwake() noexcept {
        if (must_cancel_) {
            return false;
        }
        Node::unlink();
        return true;
    }

    /// For an await that need not wait. True when there were many of those in a row: the task
    /// should let the others have a turn.
    [[nodiscard]] bool spend_ready() noexcept { return --ready_left_ == 0; }

    /// Takes a cancellation that nobody has delivered yet. Awaiters ask before they give a result:
    /// the cancellation beats it.
    [[nodiscard]] bool take_cancel() noexcept {
        if (!must_cancel_) [[likely]] {
            return false;
        }
        must_cancel_ = false;
        return true;
    }

    /// Whether there is one that nobody has delivered yet.
    [[nodiscard]] bool cancel_undelivered() const noexcept { return must_cancel_; }

    /// Keeps a cancellation for the next suspension: this wait had a result which must not be lost.
    void latch_cancel(const std::string& message) noexcept;

    /// Throws CancelledError: with the message that ended the wait, else that of the latest
    /// request.
    [[noreturn]] void throw_cancelled() const { throw_cancelled_error(); }

    /// Goes on with `next`: directly, or, once in a while, through the task's own loop, so that a
    /// long run of awaits that complete at once needs no stack.
    [[nodiscard]] std::coroutine_handle<> transfer(std::coroutine_handle<> next) noexcept {
        if (--hops_ != 0) [[likely]] {
            return next;
        }
        next_ = next;
        return std::noop_coroutine();
    }

    /// The outermost coroutine has ended.
    void root_ended(PromiseBase& root) noexcept {
        leaf_ = &root;
        root_ended_ = true;
    }

    /// Whether a task that gives a value was cancelled in its very last step: no suspension is left
    /// that could deliver this, so it ends as cancelled.
    [[nodiscard]] bool cancelled_at_end() const noexcept { return must_cancel_ && cancelled_now_; }

    // --- looking in ---

    /// Which of the loop's tasks it is; the first is 1.
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

    [[nodiscard]] std::string name() const;

    void set_name(std::string name) { name_ = std::make_unique<std::string>(std::move(name)); }

    /// Where each coroutine of a suspended task stands, innermost first; nothing while it runs.
    [[nodiscard]] std::vector<std::source_location> stack() const;

    [[nodiscard]] bool has_started() const noexcept { return started_; }

    [[nodiscard]] const Waiter* waiter() const noexcept { return waiter_; }

    /// The values of context variables that this task sees.
    [[nodiscard]] ContextRef& context() noexcept { return context_; }

    /// The loop is going away: destroys the coroutine, innermost frame first.
    void destroy_frames() noexcept;

protected:
    ~TaskBase() override;

    const char* kind() const noexcept override { return "Task"; }

    /// Moves the result of the root coroutine, which has ended, here and reports it by
    /// finish_ended().
    virtual void collect(PromiseBase& root) noexcept = 0;

    void finish_ended(State state, const std::exception_ptr& error) noexcept;

private:
    friend class LoopCore;

    static constexpr std::uint8_t max_hops = 64;
    static constexpr std::uint16_t max_ready = 256;

    static TaskBase* on_node(Node& node, NodeEvent event) noexcept;
    void step() noexcept;
    void cancelled_before_start() noexcept;
    /// Asks what this task waits on to end early; keeps the cancellation when that has ended.
    void cancel_wait() noexcept;

    ContextRef context_;
    std::coroutine_handle<> root_;
    std::coroutine_handle<> next_;
    PromiseBase* leaf_; // null while it runs, and after
    Waiter* waiter_ = nullptr;
    std::unique_ptr<std::string> name_;
    // While a cancellation is passed on, see LoopCore::cancel_wait_of.
    TaskBase* next_cancelled_ = nullptr;
    const TaskBase* cancelled_by_ = nullptr;
    std::uint64_t number_;
    unsigned cancel_requests_ = 0;
    std::uint16_t ready_left_ = max_ready;
    std::uint8_t hops_ = max_hops;
    bool must_cancel_ = false;
    bool cancelled_now_ = false;  // by the step that runs
    bool wait_cancelled_ = false; // the present wait, which has not resumed yet
    bool root_ended_ = false;
    bool started_ = false;
    bool cancel_passing_ = false;
};

} // namespace muster::detail
