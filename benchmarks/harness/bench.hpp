#pragma once
/// A small harness for comparing the same work written in several ways.
///
/// Each run has a process of its own, so that neither memory nor caches of one contender reach the
/// next, and the contenders of a workload take turns, so that a change in the machine's speed
/// reaches all of them.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// What one run has shown, for each operation.
struct Sample {
    double nanoseconds = 0;
    double allocations = 0; ///< calls of operator new
    double bytes = 0;       ///< growth of the resident set, at its peak
};

/// Which clock a workload is measured by.
enum class Clock : std::uint8_t {
    cpu,  ///< of all threads of the process: waiting is free
    wall, ///< for work that is handed to other threads and back
};

/// Measures the part of a run between start() and stop().
class Meter {
public:
    /// `scale`: the share of a workload's full size that is to be run.
    Meter(Clock clock, double scale) : clock_(clock), scale_(scale) {}

    /// The number of operations to do instead of `full`.
    [[nodiscard]] std::uint64_t count(std::uint64_t full) const;

    /// The part that counts begins: warm up before.
    void start();

    /// It ends, `operations` later.
    void stop(std::uint64_t operations);

    /// Gives a figure that was measured elsewhere, such as in a server's process.
    void set(const Sample& sample) { sample_ = sample; }

    [[nodiscard]] const Sample& sample() const { return sample_; }

private:
    [[nodiscard]] std::int64_t now() const;

    Clock clock_;
    double scale_;
    std::int64_t started_ = 0;
    std::uint64_t allocations_ = 0;
    std::int64_t resident_ = 0;
    Sample sample_;
};

/// Which figure a target is about.
enum class Figure : std::uint8_t { nanoseconds, bytes, allocations };

/// What the first contender is to reach.
struct Target {
    Figure figure = Figure::nanoseconds;
    double most = 0;
    std::string_view of = {};     ///< a contender whose figure is the unit; empty: the figure's own
    std::string_view beyond = {}; ///< a contender whose figure is subtracted first
};

struct Contender {
    std::string_view name;
    std::function<void(Meter&)> run;
};

/// The same work, written in several ways; the first is muster's.
struct Workload {
    std::string_view name;
    std::string_view description;
    std::string_view unit; ///< what an operation is
    std::vector<Contender> contenders;
    std::vector<Target> targets = {};
    Clock clock = Clock::cpu;
    bool one_cpu = true; ///< the process keeps to one processor
};

/// The program: see its --help.
int run_suite(int argc, char** argv, const std::vector<Workload>& suite);

/// Keeps a value from being optimised away.
template <class T>
void keep(const T& value) {
    asm volatile("" : : "r,m"(value) : "memory"); // NOLINT(hicpp-no-assembler)
}

} // namespace bench
