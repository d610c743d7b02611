#include <muster/core/future.hpp>

#include <atomic>

namespace muster::detail {

namespace {

// Waits among a future's waiters, then runs in the loop's ready list.
class DoneCallback final : public Pooled, public Node {
public:
    DoneCallback(FutureBase& state, UniqueFunction<void(FutureBase&)> callback, CallbackId id)
        : Node(&DoneCallback::on_node),
          state_(&state),
          callback_(std::move(callback)),
          context_(snapshot_context()),
          id_(id) {}

    [[nodiscard]] CallbackId id() const noexcept { return id_; }

    void run_soon() noexcept {
        keep_ = Ref<FutureBase>(state_);
        state_->loop()->append(*this);
    }

    static TaskBase* on_node(Node& node, NodeEvent event) noexcept {
        auto* self = static_cast<DoneCallback*>(&node);
        if (event == NodeEvent::who) {
            return nullptr;
        }
        if (event == NodeEvent::fire) {
            self->run_soon();
            return nullptr;
        }
        if (event == NodeEvent::run) {
            LoopCore& core = *self->state_->loop();
            const ContextScope scope(std::move(self->context_));
            try {
                self->callback_(*self->state_);
            } catch (...) {
                core.callback_failed("Exception in done callback");
            }
        }
        delete self;
        return nullptr;
    }

private:
    FutureBase* state_; // in whose list this lies, or which is kept
    Ref<FutureBase> keep_;
    UniqueFunction<void(FutureBase&)> callback_;
    ContextRef context_;
    CallbackId id_;
};

} // namespace

CallbackId add_done_callback(FutureBase& state, UniqueFunction<void(FutureBase&)> callback) {
    static std::atomic<CallbackId> last = 0;
    LoopCore* core = state.loop();
    if (core == nullptr) {
        throw RuntimeError("the event loop of this future is gone");
    }
    core->check_thread();
    auto* node = new DoneCallback(state, std::move(callback), ++last);
    if (state.done()) {
        node->run_soon();
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
