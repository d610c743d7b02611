#include "event_loop_impl.hpp"
#include "watchdog.hpp"

#include <muster/core/call_graph.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/executor.hpp>
#include <muster/core/task.hpp>
#include <muster/core/wait.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace muster {

void default_exception_handler(const ExceptionContext& context) noexcept {
    std::string text = context.message;
    if (!context.task.empty()) {
        text += "\n  task: " + context.task;
    }
    if (context.exception) {
        try {
            std::rethrow_exception(context.exception);
        } catch (const std::exception& error) {
            text += "\n  exception: " + std::string(error.what());
        } catch (const CancelledError&) {
            text += "\n  exception: CancelledError";
        } catch (const KeyboardInterrupt&) {
            text += "\n  exception: KeyboardInterrupt";
        } catch (...) {
            text += "\n  exception: not derived from std::exception";
        }
    }
    static_cast<void>(std::fprintf(stderr, "%s\n", text.c_str()));
}

namespace detail {

bool debug_by_default() noexcept {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): muster never writes the environment
    const char* debug = std::getenv("MUSTER_DEBUG");
    return debug != nullptr && *debug != '\0' && std::string_view(debug) != "0";
}

void CallbackNode::cancel() noexcept {
    if (cancelled_) {
        return;
    }
    cancelled_ = true;
    if (queued_) {
        queued_ = false;
        core_->remove_timer(*this);
        callback_ = nullptr;
        release();
    }
}

TaskBase* CallbackNode::on_node(Node& node, NodeEvent event) noexcept {
    auto& self = static_cast<CallbackNode&>(node);
    self.queued_ = false;
    LoopCore& core = *self.core_;
    UniqueFunction<void()> callback = std::move(self.callback_);
    ContextRef values = std::move(self.context_);
    self.release();
    if (event == NodeEvent::run) {
        const ContextScope scope(std::move(values));
        try {
            callback();
        } catch (...) {
            core.callback_failed("Exception in callback");
        }
    }
    return nullptr;
}

} // namespace detail

EventLoop::EventLoop() : EventLoop(std::make_unique<Impl>(*this)) {}

EventLoop::EventLoop(boost::asio::io_context& host, EmbedOptions options)
    : EventLoop(std::make_unique<Impl>(*this, host, options)) {}

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), core_(&impl_->core) {
    core_->set_debug(detail::debug_by_default());
}

EventLoop::~EventLoop() {
    if (!is_closed()) {
        impl_->shut();
        if (impl_->executor) {
            impl_->executor->shutdown(false);
        }
    }
}

void EventLoop::check_can_run() const {
    core_->check_open();
    if (impl_->embedded()) {
        throw RuntimeError("this event loop is embedded in a host's io_context: the host runs it");
    }
    if (is_running()) {
        throw RuntimeError("This event loop is already running");
    }
    if (detail::LoopCore::current() != nullptr) {
        throw RuntimeError("Cannot run the event loop while another loop is running");
    }
    core_->check_thread();
}

void EventLoop::run_forever() {
    check_can_run();
    impl_->run();
}

namespace {

// Stops the loop a turn after `main` is done; not any more when it is gone itself.
class StopWhenDone : public detail::Node {
public:
    StopWhenDone(detail::LoopCore& core, detail::FutureBase& main) noexcept
        : Node(&StopWhenDone::on_node), core_(core) {
        if (main.done()) {
            core_.append(*this);
        } else {
            main.add_waiter(*this);
        }
    }

private:
    static detail::TaskBase* on_node(detail::Node& node, detail::NodeEvent event) noexcept {
        detail::LoopCore& core = static_cast<StopWhenDone&>(node).core_;
        if (event == detail::NodeEvent::fire) {
            core.append(node);
        } else if (event == detail::NodeEvent::run) {
            core.request_stop();
        }
        return nullptr;
    }

    detail::LoopCore& core_;
};

} // namespace

void EventLoop::run_until_done(detail::FutureBase& main) {
    check_can_run();
    if (!main.done() && main.loop() != core_) {
        throw ValueError(
            "the task or future belongs to a different event loop than the one that is "
            "to run until it is done");
    }
    const StopWhenDone stop(*core_, main);
    run_forever();
    if (!main.done()) {
        throw RuntimeError("Event loop stopped before Future completed.");
    }
}

void EventLoop::stop() {
    if (impl_->embedded()) {
        throw RuntimeError("this event loop is embedded in a host's io_context, which it never "
                           "stops; end it with shutdown()");
    }
    if (detail::LoopCore::current() == core_) {
        core_->request_stop();
        return;
    }
    UniqueFunction<void()> work = [core = core_] { core->request_stop(); };
    static_cast<void>(core_->gate()->post(work)); // a closed loop is stopped
}

bool EventLoop::is_running() const noexcept { return core_->running(); }

bool EventLoop::is_closed() const noexcept { return core_->closed(); }

void EventLoop::close() {
    if (is_running() && !is_closed()) {
        throw RuntimeError("Cannot close a running event loop");
    }
    if (!is_closed()) {
        impl_->shut();
        if (impl_->executor) {
            impl_->executor->shutdown(false);
        }
    }
}

Coro<void> EventLoop::shutdown() {
    const AnyTask self = current_task();
    for (;;) {
        std::vector<AnyTask> others;
        for (const AnyTask& task : all_tasks()) {
            if (!(task == self)) {
                others.push_back(task);
            }
        }
        if (others.empty()) {
            co_return;
        }
        for (const AnyTask& task : others) {
            task.cancel();
        }
        co_await wait(others);
        for (const AnyTask& task : others) {
            if (task.state()->state() == detail::State::failed && !task.state()->retrieved()) {
                ExceptionContext context;
                context.message = "unhandled exception while the event loop was being shut down";
                context.exception = task.exception();
                context.task = task.name();
                call_exception_handler(context);
            }
        }
    }
}

detail::CallbackNode& EventLoop::enqueue(UniqueFunction<void()> callback,
                                         detail::ContextRef context) {
    auto* node = new detail::CallbackNode(*core_, std::move(callback), std::move(context));
    node->retain();
    core_->append(*node);
    return *node;
}

Handle EventLoop::call_soon(UniqueFunction<void()> callback) {
    core_->check_open();
    core_->check_thread();
    core_->accept_posted();
    return Handle(enqueue(std::move(callback), detail::snapshot_context()));
}

void EventLoop::call_soon_threadsafe(UniqueFunction<void()> callback) {
    if (detail::ContextRef values = detail::snapshot_context()) {
        callback = [values = std::move(values), inner = std::move(callback)]() mutable {
            const detail::ContextScope scope(std::move(values));
            inner();
        };
    }
    if (!core_->gate()->post(callback)) {
        throw RuntimeError("Event loop is closed");
    }
}

TimerHandle EventLoop::schedule_at(Clock::time_point when, UniqueFunction<void()> callback) {
    core_->check_open();
    core_->check_thread();
    auto* node = new detail::CallbackNode(*core_, std::move(callback), detail::snapshot_context());
    node->retain();
    core_->add_timer(*node, when);
    return TimerHandle(*node);
}

namespace {

void check_signal(int signal) {
    if (signal < 1 || signal >= NSIG) {
        throw ValueError("invalid signal number " + std::to_string(signal));
    }
}

} // namespace

void EventLoop::add_signal_handler(int signal, UniqueFunction<void()> callback) {
    static_cast<void>(install_signal_handler(signal, std::move(callback), SignalUse::of_tasks));
}

EventLoop::SignalCallback
EventLoop::install_signal_handler(int signal, UniqueFunction<void()> callback, SignalUse use) {
    core_->check_open();
    core_->check_thread();
    check_signal(signal);
    auto shared = std::make_shared<UniqueFunction<void()>>(std::move(callback));
    const auto found = impl_->signals.find(signal);
    if (found != impl_->signals.end()) {
        found->second.callback = shared;
        found->second.use = use;
        impl_->count_signal(found->second);
        return shared;
    }
    const auto added = impl_->signals.try_emplace(signal, impl_->context).first;
    added->second.callback = shared;
    added->second.use = use;
    boost::system::error_code error;
    added->second.set.add(signal, error);
    if (error) {
        impl_->signals.erase(added);
        throw RuntimeError("signal " + std::to_string(signal) +
                           " cannot be caught: " + error.message());
    }
    impl_->wait_for_signal(signal);
    return shared;
}

bool EventLoop::has_signal_handler(int signal, const SignalCallback& callback) const noexcept {
    const auto found = impl_->signals.find(signal);
    return found != impl_->signals.end() && found->second.callback == callback;
}

bool EventLoop::remove_signal_handler(int signal) {
    core_->check_thread();
    check_signal(signal);
    return impl_->signals.erase(signal) > 0;
}

void EventLoop::set_watchdog(TimeLimit limit, std::function<void(const BlockedStep&)> handler) {
    core_->check_open();
    core_->check_thread();
    core_->set_step_watch(nullptr); // the old one's thread ends first
    if (limit.limited()) {
        if (limit.value() <= Clock::duration::zero()) {
            throw ValueError("set_watchdog() needs a limit that is positive, or none");
        }
        core_->set_step_watch(detail::make_watchdog(limit.value(), std::move(handler)));
    }
}

void EventLoop::set_deadlock_notice(TimeLimit after) {
    core_->check_thread();
    if (after.limited() && after.value() < Clock::duration::zero()) {
        throw ValueError("set_deadlock_notice() needs a time that is not negative, or none");
    }
    impl_->deadlock_notice = after;
}

LoopMetrics EventLoop::metrics() const {
    core_->check_thread();
    LoopMetrics metrics = core_->metrics();
    if (impl_->executor) {
        metrics.executor = impl_->executor->metrics();
    }
    return metrics;
}

void EventLoop::set_step_times(bool on) {
    core_->check_thread();
    core_->set_step_times(on);
}

void EventLoop::dump_tasks_on(int signal) {
    static_cast<void>(
        install_signal_handler(signal, [] { print_task_tree(std::cerr); }, SignalUse::of_nobody));
}

void EventLoop::set_exception_handler(ExceptionHandler handler) {
    impl_->exception_handler = std::move(handler);
}

const EventLoop::ExceptionHandler& EventLoop::get_exception_handler() const noexcept {
    return impl_->exception_handler;
}

void EventLoop::call_exception_handler(const ExceptionContext& context) noexcept {
    if (!impl_->exception_handler) {
        default_exception_handler(context);
        return;
    }
    try {
        impl_->exception_handler(*this, context);
    } catch (...) {
        ExceptionContext broken;
        broken.message = "Unhandled error in exception handler";
        broken.exception = std::current_exception();
        default_exception_handler(broken);
        default_exception_handler(context);
    }
}

boost::asio::io_context& EventLoop::io_context() noexcept { return impl_->context; }

EventLoop& get_running_loop() {
    detail::LoopCore* core = detail::LoopCore::current();
    if (core == nullptr) {
        throw RuntimeError("no running event loop");
    }
    return core->loop();
}

} // namespace muster
