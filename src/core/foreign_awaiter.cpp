#include <muster/core/detail/foreign_awaiter.hpp>

#include <exception>

namespace muster::detail {

/// Comes back to the loop when the stand-in is resumed or destroyed.
class ForeignWait::Hop final : public ThreadHop {
public:
    Hop(LoopCore& core, TaskBase& task) : ThreadHop(core), task_(&task) {
        core.add_external(*this);
    }

    /// The coroutine is gone; on the loop's thread.
    void forget() noexcept {
        if (task_ != nullptr) {
            task_ = nullptr;
            core().remove_external(*this);
        }
    }

    bool destroyed = false; // set before arriving, read after

private:
    void deliver() noexcept override {
        if (task_ != nullptr) {
            std::exchange(task_, nullptr)->wake();
        }
    }

    void abandon() noexcept override { task_ = nullptr; }

    TaskBase* task_;
};

/// A coroutine that does nothing but arrive; it frees itself.
class ForeignWait::StandIn {
public:
    struct promise_type {
        static std::suspend_always initial_suspend() noexcept { return {}; }

        static std::suspend_never final_suspend() noexcept { return {}; }

        static void unhandled_exception() noexcept { std::terminate(); } // nothing throws in there

        StandIn get_return_object() noexcept {
            return StandIn(std::coroutine_handle<promise_type>::from_promise(*this));
        }

        void return_void() const noexcept {}
    };

    /// Arrives when it goes, with the frame that it lies in, however that ends.
    class Arrival {
    public:
        explicit Arrival(std::shared_ptr<Hop> hop) noexcept : hop_(std::move(hop)) {}

        Arrival(Arrival&&) noexcept = default;
        Arrival& operator=(Arrival&&) = delete;

        ~Arrival() {
            if (hop_ != nullptr) {
                hop_->destroyed = !resumed;
                ThreadHop::arrive(std::move(hop_));
            }
        }

        bool resumed = false;

    private:
        std::shared_ptr<Hop> hop_;
    };

    static StandIn make(Arrival arrival) {
        arrival.resumed = true;
        co_return;
    }

    std::coroutine_handle<> handle;

private:
    explicit StandIn(std::coroutine_handle<> frame) noexcept : handle(frame) {}
};

ForeignWait::~ForeignWait() {
    if (hop_ != nullptr) {
        hop_->forget();
    }
}

std::coroutine_handle<> ForeignWait::prepare(PromiseBase& leaf) {
    TaskBase& task = *leaf.task;
    if (task.take_cancel()) {
        task.throw_cancelled();
    }
    hop_ = std::make_shared<Hop>(*task.loop(), task);
    stand_in_ = StandIn::make(StandIn::Arrival(hop_)).handle;
    return stand_in_;
}

void ForeignWait::withdraw() noexcept {
    hop_->forget();
    stand_in_.destroy();
    hop_.reset();
}

void ForeignWait::end() const {
    if (hop_ != nullptr && hop_->destroyed) {
        throw RuntimeError("a foreign awaitable destroyed the coroutine that waited for it instead "
                           "of resuming it");
    }
}

} // namespace muster::detail
