#include <muster/core/detail/future_base.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/task_base.hpp>
#include <muster/core/event_loop.hpp>

#include <cxxabi.h>

#include <typeinfo>

namespace muster::detail {

bool handling_cancelled_error() noexcept {
    const std::type_info* type = abi::__cxa_current_exception_type();
    return type != nullptr && *type == typeid(CancelledError);
}

bool is_keyboard_interrupt(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const KeyboardInterrupt&) {
        return true;
    } catch (...) {
        return false;
    }
}

void throw_empty_handle() {
    throw InvalidStateError("this handle is empty: it was default constructed or moved from, and "
                            "refers to no task or future");
}

FutureBase::FutureBase(LoopCore& loop) noexcept : loop_(&loop) { loop.add_future(*this); }

FutureBase::~FutureBase() = default;

void FutureBase::check_thread() const {
    if (loop_ != nullptr) {
        loop_->check_thread();
    }
}

void FutureBase::dispose() noexcept {
    if (state_ == State::failed && !retrieved_) {
        ExceptionContext context;
        context.message = std::string(kind()) + " exception was never retrieved";
        context.exception = error_;
        context.task = label();
        // As in asyncio: a handler sees the context variables of the task that it is told of.
        TaskBase* const task = as_task();
        const ContextScope scope(task != nullptr ? task->context() : current_context());
        if (loop_ != nullptr) {
            loop_->report(context);
        } else {
            default_exception_handler(context);
        }
    }
    drop_waiters(); // nobody is left who could finish it
    delete this;
}

void FutureBase::drop_waiters() noexcept {
    while (!waiters_.empty()) {
        waiters_.pop_front().notify(NodeEvent::drop);
    }
}

std::exception_ptr FutureBase::error() const {
    if (state_ != State::cancelled || error_) {
        return error_;
    }
    return std::make_exception_ptr(cancel_message_ ? CancelledError(*cancel_message_)
                                                   : CancelledError());
}

void FutureBase::rethrow() {
    mark_retrieved();
    if (error_) {
        std::rethrow_exception(error_);
    }
    throw_cancelled_error();
}

void FutureBase::throw_cancelled_error() const {
    throw cancel_message_ ? CancelledError(*cancel_message_) : CancelledError();
}

void FutureBase::orphan() noexcept {
    if (state_ == State::pending) {
        state_ = State::cancelled;
    }
    drop_waiters();
    loop_ = nullptr;
}

void FutureBase::finish(State state) noexcept {
    state_ = state;
    while (!waiters_.empty()) {
        waiters_.pop_front().notify(NodeEvent::fire);
    }
}

} // namespace muster::detail
