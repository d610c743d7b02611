#include "event_loop_impl.hpp"

#include <muster/core/detail/task_base.hpp>
#include <muster/testing.hpp>

#include <cstdio>
#include <random>
#include <utility>
#include <vector>

namespace muster {

namespace {

// Puts the tasks of a turn in another order; callbacks and timers keep their places.
class Shuffle {
public:
    explicit Shuffle(std::uint64_t seed) : random_(seed) {}

    void operator()(detail::NodeList& turn) {
        nodes_.clear();
        tasks_.clear();
        while (!turn.empty()) {
            detail::Node& node = turn.pop_front();
            if (detail::TaskBase::of(node) != nullptr) {
                tasks_.push_back(nodes_.size());
            }
            nodes_.push_back(&node);
        }
        // Not std::shuffle, whose order is each library's own: a seed means the same everywhere.
        for (std::size_t left = tasks_.size(); left > 1; --left) {
            std::swap(nodes_[tasks_[left - 1]], nodes_[tasks_[random_() % left]]);
        }
        for (detail::Node* node : nodes_) {
            turn.push_back(*node);
        }
    }

private:
    std::mt19937_64 random_;
    std::vector<detail::Node*> nodes_;
    std::vector<std::size_t> tasks_; // their places among the nodes
};

} // namespace

struct VirtualLoop {
    static std::unique_ptr<EventLoop> make(const testing::VirtualOptions& options) {
        auto loop = std::make_unique<EventLoop>();
        loop->impl_->virtual_time = Clock::time_point(std::chrono::hours(1));
        if (options.seed) {
            loop->core().reorder_turn = Shuffle(*options.seed);
        }
        return loop;
    }
};

namespace testing {

std::unique_ptr<EventLoop> make_virtual_loop(VirtualOptions options) {
    return VirtualLoop::make(options);
}

void detail::report_seed(std::uint64_t seed) noexcept {
    static_cast<void>(std::fprintf(stderr, "explore(): thrown with seed %llu\n",
                                   static_cast<unsigned long long>(seed)));
}

} // namespace testing
} // namespace muster
