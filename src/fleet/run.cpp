#include <muster/core/error.hpp>
#include <muster/core/event_loop.hpp>
#include <muster/core/future.hpp>
#include <muster/core/task_group.hpp>
#include <muster/core/timeout.hpp>
#include <muster/fleet/run.hpp>

#include <cmath>
#include <exception>

namespace muster::fleet {
namespace detail {

struct ControlState {
    bool stopping = false;
    bool cancelled = false;
    // The runs at work: in most cases one.
    std::vector<Run*> runs;

    void changed() const;
};

// One run. The dispatcher starts a task for each device when its turn has come: a thousand waiting
// devices cost nothing but their outcomes.
class Run {
public:
    Run(const std::vector<device::Device>& devices, AnyJob& job, FleetOptions& options)
        : devices_(&devices),
          job_(&job),
          options_(&options),
          control_(options.control.state_),
          begin_(Clock::now()),
          next_start_(begin_),
          ended_(devices.size()) {
        control_->runs.push_back(this);
    }

    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    ~Run() { std::erase(control_->runs, this); }

    Coro<Clock::duration> all() {
        prepare_outcomes();
        std::exception_ptr cancelled;
        try {
            co_await task_group([this](TaskGroup& group) {
                group_ = &group;
                return dispatch();
            });
        } catch (const CancelledError&) {
            cancelled = std::current_exception();
        }
        group_ = nullptr;
        leave_the_rest();
        if (error_) {
            std::rethrow_exception(error_);
        }
        if (cancelled) {
            std::rethrow_exception(cancelled);
        }
        co_return since_begin();
    }

    void control_changed() {
        if (control_->cancelled && group_ != nullptr) {
            group_->cancel();
        }
        wake();
    }

    void emit_phase(const JobContext& context) {
        Event event = event_of(Event::Kind::phase, context.index_);
        event.phase = context.phase_;
        emit(event);
    }

    [[nodiscard]] bool stopping() const noexcept { return control_->stopping || error_ != nullptr; }

private:
    [[nodiscard]] Clock::duration since_begin() const { return Clock::now() - begin_; }

    [[nodiscard]] bool has_more() const {
        return next_ < devices_->size() && !control_->stopping && !error_;
    }

    void prepare_outcomes() {
        for (std::size_t i = 0; i < devices_->size(); ++i) {
            DeviceOutcome& outcome = job_->outcome(i);
            outcome.device = (*devices_)[i].name;
            outcome.endpoint = device::endpoint((*devices_)[i]);
        }
    }

    Coro<void> dispatch() {
        while (has_more()) {
            if (running_ >= options_->max_at_once) {
                co_await changed(std::nullopt);
                continue;
            }
            const Clock::time_point now = Clock::now();
            if (now < next_start_) {
                co_await changed(next_start_ - now);
                continue;
            }
            next_start_ = now + start_interval();
            ++running_;
            const std::size_t index = next_++;
            TaskOptions options;
            options.name = "device " + (*devices_)[index].name;
            const Task<void> task = group_->create_task(work(index), std::move(options));
            if (control_->cancelled || error_) {
                // An eager first step has cancelled the group, which did not know this task yet.
                task.cancel();
            }
        }
    }

    [[nodiscard]] Clock::duration start_interval() const {
        const std::optional<double>& rate = options_->connects_per_second;
        return rate ? std::chrono::duration_cast<Clock::duration>(
                          std::chrono::duration<double>(1 / *rate))
                    : Clock::duration::zero();
    }

    // Until a device has finished or the control was used, but no longer than `limit`.
    Coro<void> changed(TimeLimit limit) {
        Future<void> waiting = get_running_loop().create_future<void>();
        changed_ = waiting;
        try {
            co_await wait_for(std::move(waiting), limit);
        } catch (const TimeoutError&) {
            changed_.reset();
        }
    }

    void wake() {
        if (changed_) {
            Future<void> waiting = *std::exchange(changed_, std::nullopt);
            if (!waiting.done()) {
                waiting.set_result();
            }
        }
    }

    Coro<void> work(std::size_t index) {
        if (stopping()) { // since its task was made
            --running_;
            wake();
            co_return;
        }
        JobContext context(*this, index);
        const Clock::time_point start = Clock::now();
        emit(event_of(Event::Kind::started, index));
        std::exception_ptr passing;
        bool expired = false;
        try {
            const auto body = [&](Timeout& timeout) { return watched(context, timeout, expired); };
            co_await timeout(options_->device_timeout, body);
            job_->outcome(index).ending = Ending::succeeded;
        } catch (const CancelledError&) {
            job_->outcome(index).ending = Ending::cancelled;
            passing = std::current_exception();
        } catch (const KeyboardInterrupt&) {
            job_->outcome(index).ending = Ending::cancelled;
            abort(std::current_exception());
        } catch (...) {
            record_failure(context, std::current_exception(), expired);
        }
        job_->outcome(index).elapsed = Clock::now() - start;
        --running_;
        emit_finished(index);
        wake();
        if (passing) {
            std::rethrow_exception(passing);
        }
    }

    // The job, and whether it was the device's own deadline that ended it: a TimeoutError of the
    // job's own making looks the same from outside.
    Coro<void> watched(JobContext& context, const Timeout& timeout, bool& expired) {
        try {
            co_await job_->work((*devices_)[context.index_], context);
        } catch (const CancelledError&) {
            expired = timeout.expired();
            throw;
        }
    }

    void record_failure(const JobContext& context, std::exception_ptr error, bool expired) {
        DeviceOutcome& outcome = job_->outcome(context.index_);
        outcome.ending = Ending::failed;
        outcome.failure = describe_failure(error, context.phase_);
        if (expired && outcome.failure->timed_out) {
            const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(
                options_->device_timeout.value());
            outcome.failure->reason =
                "the device's time of " + std::to_string(limit.count()) + " ms was up";
        }
        outcome.error = std::move(error);
    }

    // Those whose turn never came, and those whose task was made, and then the run was stopped.
    void leave_the_rest() {
        for (std::size_t index = 0; index < devices_->size(); ++index) {
            if (!ended_[index]) {
                emit_finished(index);
            }
        }
    }

    [[nodiscard]] Event event_of(Event::Kind kind, std::size_t index) const {
        Event event;
        event.kind = kind;
        event.device = &(*devices_)[index];
        event.index = index;
        event.at = since_begin();
        return event;
    }

    void emit_finished(std::size_t index) {
        ended_[index] = true;
        Event event = event_of(Event::Kind::finished, index);
        event.outcome = &job_->outcome(index);
        event.result_type = &job_->result_type();
        emit(event);
    }

    // The listener's exception must not pass through a job: it ends the run from outside.
    void emit(const Event& event) {
        if (!options_->on_event || listener_failed_) {
            return;
        }
        try {
            options_->on_event(event);
        } catch (...) {
            listener_failed_ = true;
            abort(std::current_exception());
        }
    }

    void abort(std::exception_ptr error) {
        if (!error_) {
            error_ = std::move(error);
        }
        if (group_ != nullptr) {
            group_->cancel();
        }
        wake();
    }

    const std::vector<device::Device>* devices_;
    AnyJob* job_;
    FleetOptions* options_;
    std::shared_ptr<ControlState> control_;
    Clock::time_point begin_;
    Clock::time_point next_start_;
    TaskGroup* group_ = nullptr;
    std::size_t next_ = 0;
    std::size_t running_ = 0;
    // Whose end has been told.
    std::vector<bool> ended_;
    std::optional<Future<void>> changed_;
    // What ends the run and is no device's failure.
    std::exception_ptr error_;
    bool listener_failed_ = false;
};

void ControlState::changed() const {
    for (Run* run : runs) {
        run->control_changed();
    }
}

Coro<Clock::duration> run_devices(const std::vector<device::Device>& devices, AnyJob& job,
                                  FleetOptions options) {
    if (options.max_at_once == 0) {
        throw ValueError("max_at_once must be at least 1");
    }
    const double rate = options.connects_per_second.value_or(1);
    if (!std::isfinite(rate) || rate <= 0) {
        throw ValueError("connects_per_second must be a positive number");
    }
    Run run(devices, job, options);
    co_return co_await run.all();
}

} // namespace detail

RunControl::RunControl() : state_(std::make_shared<detail::ControlState>()) {}

void RunControl::stop_starting() {
    state_->stopping = true;
    state_->changed();
}

void RunControl::cancel() {
    state_->cancelled = true;
    stop_starting();
}

bool RunControl::stopping() const noexcept { return state_->stopping; }

bool RunControl::cancelled() const noexcept { return state_->cancelled; }

void JobContext::enter_phase(std::string phase) {
    phase_ = std::move(phase);
    run_->emit_phase(*this);
}

bool JobContext::stopping() const noexcept { return run_->stopping(); }

} // namespace muster::fleet
