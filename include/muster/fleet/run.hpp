#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/device/device.hpp>
#include <muster/fleet/event.hpp>
#include <muster/fleet/inventory.hpp>
#include <muster/fleet/outcome.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace muster::fleet {

namespace detail {
class Run;
struct ControlState;
} // namespace detail

/// Ends a run early, in two steps: what the first and the second Ctrl-C do. A copy controls the
/// same run. Not tied to a run: a control that was told to stop stops whatever gets it next. On
/// the loop's thread only; signal handlers of the loop run there.
class RunControl {
public:
    RunControl();

    /// No further device is started; those at work go on to their end.
    void stop_starting();

    /// The same, and those at work are cancelled. run_fleet() waits for them, then returns.
    void cancel();

    [[nodiscard]] bool stopping() const noexcept;

    [[nodiscard]] bool cancelled() const noexcept;

private:
    friend class detail::Run;
    std::shared_ptr<detail::ControlState> state_;
};

/// How run_fleet() goes through the devices.
struct FleetOptions {
    /// Devices worked on at the same time; at least 1.
    std::size_t max_at_once = 50;
    /// Devices started per second at most, evenly spread: AAA servers and bastions fall over
    /// otherwise. Nothing: no limit.
    std::optional<double> connects_per_second = {};
    /// For the whole of one device's job; nothing: no limit.
    TimeLimit device_timeout = std::nullopt;
    /// Told of everything as it happens. Must not wait. If it throws, the run is cancelled, and
    /// run_fleet() throws that exception.
    std::function<void(const Event&)> on_event = {};
    RunControl control = {};
};

/// What a job can ask and tell about its device's part of the run.
class JobContext {
public:
    JobContext(const JobContext&) = delete;
    JobContext& operator=(const JobContext&) = delete;

    /// The device's place in the inventory.
    [[nodiscard]] std::size_t index() const noexcept { return index_; }

    /// Says what is done now ("connect", "save"): an event, and the phase that is reported if the
    /// job throws something that names none.
    void enter_phase(std::string phase);

    [[nodiscard]] const std::string& phase() const noexcept { return phase_; }

    /// True after RunControl::stop_starting(): a job that has changed nothing yet may end early.
    [[nodiscard]] bool stopping() const noexcept;

private:
    friend class detail::Run;

    JobContext(detail::Run& run, std::size_t index) noexcept : run_(&run), index_(index) {}

    detail::Run* run_;
    std::size_t index_;
    std::string phase_;
};

namespace detail {

/// What the run needs of a job, whatever it gives.
class AnyJob {
public:
    virtual ~AnyJob() = default;

    virtual Coro<void> work(const device::Device& device, JobContext& context) = 0;
    [[nodiscard]] virtual DeviceOutcome& outcome(std::size_t index) noexcept = 0;
    [[nodiscard]] virtual const std::type_info& result_type() const noexcept = 0;
};

/// Works on all devices; gives the time it took.
Coro<Clock::duration> run_devices(const std::vector<device::Device>& devices, AnyJob& job,
                                  FleetOptions options);

template <class Job>
auto call_job(Job& job, const device::Device& device, JobContext& context) {
    if constexpr (std::is_invocable_v<Job&, const device::Device&, JobContext&>) {
        return std::invoke(job, device, context);
    } else {
        static_assert(
            std::is_invocable_v<Job&, const device::Device&>,
            "a job takes (const Device&) or (const Device&, JobContext&) and gives a Coro");
        return std::invoke(job, device);
    }
}

template <class Job>
using JobResult =
    typename decltype(call_job(std::declval<Job&>(), std::declval<const device::Device&>(),
                               std::declval<JobContext&>()))::value_type;

template <class Job>
class TypedJob final : public AnyJob {
public:
    using R = JobResult<Job>;

    TypedJob(Job job, std::vector<Outcome<R>>& outcomes) noexcept
        : job_(std::move(job)), outcomes_(&outcomes) {}

    Coro<void> work(const device::Device& device, JobContext& context) override {
        std::optional<typename Outcome<R>::value_type>& value = (*outcomes_)[context.index()].value;
        if constexpr (std::is_void_v<R>) {
            co_await call_job(job_, device, context);
            value.emplace();
        } else {
            value.emplace(co_await call_job(job_, device, context));
        }
    }

    DeviceOutcome& outcome(std::size_t index) noexcept override { return (*outcomes_)[index]; }

    [[nodiscard]] const std::type_info& result_type() const noexcept override {
        return typeid(Outcome<R>);
    }

private:
    Job job_;
    std::vector<Outcome<R>>* outcomes_;
};

} // namespace detail

/// Runs `job` for every device, `max_at_once` at a time, in the order of the inventory; gives one
/// outcome for each, in that order. A device that fails stops no other.
///
/// `job(const Device&)` or `job(const Device&, JobContext&)` gives a Coro; it is kept until the run
/// ends, so that a capturing lambda is safe. `devices` must outlive the run. Cancelling the waiting
/// task cancels all jobs and waits for them; then CancelledError is thrown, and what had been done
/// is known from the events only: use RunControl::cancel() to get a result. Throws ValueError for
/// options that make no sense.
///
///     FleetOptions options{.max_at_once = 100, .on_event = show};
///     auto result = co_await run_fleet(inventory, push_one, options);
template <class Job>
Coro<FleetResult<detail::JobResult<Job>>> run_fleet(const std::vector<device::Device>& devices,
                                                    Job job, FleetOptions options = {}) {
    using R = detail::JobResult<Job>;
    FleetResult<R> result;
    result.outcomes.resize(devices.size());
    detail::TypedJob<Job> typed(std::move(job), result.outcomes);
    result.elapsed = co_await detail::run_devices(devices, typed, std::move(options));
    co_return result;
}

/// The same for all devices of an inventory.
template <class Job>
auto run_fleet(const Inventory& inventory, Job job, FleetOptions options = {}) {
    return run_fleet(inventory.devices(), std::move(job), std::move(options));
}

/// The devices would be gone before the run begins: name them first.
template <class Job>
void run_fleet(std::vector<device::Device>&& devices, Job job, FleetOptions options = {}) = delete;
template <class Job>
void run_fleet(Inventory&& inventory, Job job, FleetOptions options = {}) = delete;

} // namespace muster::fleet
