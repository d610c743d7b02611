#include <muster/core/future.hpp>

#include <atomic>

namespace muster::detail {

namespace {

// Waits among a future's waiters, then runs in the loop's ready list.
class DoneCallback final : public Pooled, public Node {
public:
    DoneCallback(FutureBase& state, UniqueFunction<void()> callback, CallbackId id) noexcept
        : Node(&DoneCallback::on_node), state_(&state), callback_(std::move(callback)), id_(id) {}

    [[nodiscard]] CallbackId id() const noexcept { return id_; }

    static void on_node(Node& node, NodeEvent event) noexcept {
        auto* self = static_cast<DoneCallback*>(&node);
        if (event == NodeEvent::fire) {
            self->state_->loop()->append(node);
            return;
        }
        if (event == NodeEvent::run) {
            LoopCore& core = *self->state_->loop();
            try {
                self->callback_();
            } catch (...) {
                ExceptionContext context;
                context.message = "Exception in done callback";
                context.exception = std::current_exception();
                core.report(context);
            }
        }
        delete self;
    }

private:
    FutureBase* state_; // alive: the callback holds a handle
    UniqueFunction<void()> callback_;
    CallbackId id_;
};

} // namespace

CallbackId add_done_callback(FutureBase& state, UniqueFunction<void()> callback) {
    static std::atomic<CallbackId> last = 0;
    LoopCore* core = state.loop();
    if (core == nullptr) {
        throw RuntimeError("the event loop of this future is gone");
    }
    auto* node = new DoneCallback(state, std::move(callback), ++last);
    if (state.done()) {
        core->append(*node);
    } else {
        state.add_waiter(*node);
    }
    return node->id();
}

std::size_t remove_done_callback(FutureBase& state, CallbackId id) noexcept {
    DoneCallback* found = nullptr;
    state.waiters().for_each([&](Node& node) {
        if (node.runs(&DoneCallback::on_node) && static_cast<DoneCallback&>(node).id() == id) {
            found = static_cast<DoneCallback*>(&node);
        }
    });
    if (found == nullptr) {
        return 0;
    }
    found->unlink();
    delete found;
    return 1;
}

} // namespace muster::detail
