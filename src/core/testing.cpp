#include "event_loop_impl.hpp"

#include <muster/core/detail/task_base.hpp>
#include <muster/core/error.hpp>
#include <muster/testing.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace muster {

namespace {

// So that numbers which are near each other give others that are not (splitmix64).
std::uint64_t scramble(std::uint64_t number) {
    number += 0x9e3779b97f4a7c15;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

// Races differ in how many tasks must be late for them to show, by how much, and in what order; no
// one way to schedule shows all. So a seed first draws the way, from all tasks keeping step, in a
// drawn order, through a few that are held back for a while, to one task a turn, drawn from all.
class DrawnSchedule final : public detail::Exploration {
public:
    // What the test draws from the same seed has nothing to do with what is drawn here.
    explicit DrawnSchedule(std::uint64_t seed)
        : random_(scramble(seed)),
          slow_share_(draw(shares + 1)),
          stretch_(std::uint64_t(1) << draw(7)),
          shuffles_(slow_share_ == 0 || draw(2) == 0),
          hold_share_(draw(shares)) {}

    void arrange(detail::NodeList& turn, detail::NodeList& later) noexcept override {
        if (turns_left_-- == 0) {
            turns_left_ = stretch_;
            salt_ = random_();
        }
        nodes_.clear();
        tasks_.clear();
        slow_.clear();
        while (!turn.empty()) {
            detail::Node& node = turn.pop_front();
            const detail::TaskBase* task = detail::TaskBase::of(node);
            if (task != nullptr && is_slow(*task)) {
                slow_.push_back(&node);
                continue;
            }
            if (task != nullptr) {
                tasks_.push_back(nodes_.size());
            }
            nodes_.push_back(&node);
        }
        // Nobody waits for ever: one of the tasks that are ready runs in each turn.
        if (tasks_.empty() && !slow_.empty()) {
            const auto lucky = slow_.begin() + static_cast<std::ptrdiff_t>(draw(slow_.size()));
            nodes_.push_back(*lucky);
            slow_.erase(lucky);
        }
        if (shuffles_) {
            shuffle_tasks();
        }
        for (detail::Node* node : nodes_) {
            turn.push_back(*node);
        }
        for (detail::Node* node : slow_) {
            later.push_back(*node);
        }
    }

    bool hold_timers() noexcept override { return draw(shares) < hold_share_; }

private:
    static constexpr std::uint64_t shares = 8;

    std::uint64_t draw(std::uint64_t bound) noexcept { return random_() % bound; }

    // For a stretch of turns, and by its number: an address would be another one next time.
    [[nodiscard]] bool is_slow(const detail::TaskBase& task) const noexcept {
        return scramble(salt_ + task.number()) % shares < slow_share_;
    }

    // Not std::shuffle, whose order is each library's own: a seed means the same everywhere.
    void shuffle_tasks() noexcept {
        for (std::size_t left = tasks_.size(); left > 1; --left) {
            std::swap(nodes_[tasks_[left - 1]], nodes_[tasks_[draw(left)]]);
        }
    }

    std::mt19937_64 random_;
    std::uint64_t slow_share_; // of `shares`: how many tasks are slow
    std::uint64_t stretch_;    // in turns: for how long the same ones are
    bool shuffles_;            // whether the others run in a drawn order
    std::uint64_t hold_share_; // of `shares`: how often due timers wait
    std::uint64_t turns_left_ = 0;
    std::uint64_t salt_ = 0;
    std::vector<detail::Node*> nodes_;
    std::vector<std::size_t> tasks_; // their places among the nodes
    std::vector<detail::Node*> slow_;
};

} // namespace

struct VirtualLoop {
    static std::unique_ptr<EventLoop> make(const testing::VirtualOptions& options) {
        auto loop = std::make_unique<EventLoop>();
        loop->impl_->virtual_time = Clock::time_point(std::chrono::hours(1));
        if (options.seed) {
            loop->core().exploration = std::make_unique<DrawnSchedule>(*options.seed);
        }
        return loop;
    }
};

namespace testing {

std::unique_ptr<EventLoop> make_virtual_loop(VirtualOptions options) {
    return VirtualLoop::make(options);
}

detail::Seeds detail::seeds_to_explore(std::uint64_t count) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): muster never writes the environment
    const char* text = std::getenv("MUSTER_SEED");
    if (text == nullptr || *text == '\0') {
        return {.first = 1, .count = count};
    }
    std::uint64_t seed = 0;
    const char* end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, seed);
    if (error != std::errc() || rest != end) {
        throw ValueError(std::string("MUSTER_SEED is not a number: ") + text);
    }
    return {.first = seed, .count = 1};
}

void detail::report_seed(std::uint64_t seed) noexcept {
    const auto number = static_cast<unsigned long long>(seed);
    static_cast<void>(std::fprintf(
        stderr, "explore(): fails with seed %llu; MUSTER_SEED=%llu in the environment repeats it\n",
        number, number));
}

} // namespace testing
} // namespace muster
