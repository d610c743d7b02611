#pragma once
/// What runs functions on other threads (concurrent.futures.Executor).

#include <muster/core/clock.hpp>
#include <muster/core/concurrent_future.hpp>
#include <muster/core/detail/pulled_range.hpp>
#include <muster/core/detail/ranges.hpp>
#include <muster/core/error.hpp>
#include <muster/core/function.hpp>
#include <muster/core/metrics.hpp>

#include <concepts>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace muster::concurrent {

namespace detail {

class Job;

struct DisposeOfJob {
    void operator()(Job* job) const noexcept;
};

/// The executor's share of a job.
using JobPtr = std::unique_ptr<Job, DisposeOfJob>;

/// A piece of work on its way through an executor. Giving up one that has not run destroys its
/// function, then cancels its future.
class Job {
public:
    Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    /// Runs and destroys the function, unless it was cancelled. Nobody is told yet.
    virtual void run() noexcept = 0;

    /// Completes the future and wakes its waiters; runs none of the user's code. Gives the job
    /// back when there are callbacks to run.
    virtual JobPtr publish(JobPtr self) noexcept = 0;

    virtual void run_callbacks() noexcept = 0;

    /// Destroys the function and fails the future, instead of `run`.
    virtual void fail(JobPtr self, std::exception_ptr error) noexcept = 0;

    /// The executor gives the job up.
    virtual void dispose() noexcept { delete this; }

protected:
    virtual ~Job() = default;
};

inline void DisposeOfJob::operator()(Job* job) const noexcept { job->dispose(); }

/// What `submit(fn, args...)` calls: everything decayed and moved in, passed on as rvalues.
template <class F, class... Args>
struct Call {
    std::decay_t<F> function;
    std::tuple<std::decay_t<Args>...> arguments;

    decltype(auto) operator()() && { return std::apply(std::move(function), std::move(arguments)); }
};

/// What a call gives, without the constness or the && which a Future could not hold.
template <class F, class... Args>
using CallResult =
    std::conditional_t<std::is_lvalue_reference_v<std::invoke_result_t<F, Args...>>,
                       std::invoke_result_t<F, Args...>,
                       std::remove_cv_t<std::remove_reference_t<std::invoke_result_t<F, Args...>>>>;

template <class R>
constexpr void check_plain_result() {
    static_assert(
        !requires { typename R::promise_type; },
        "executors run plain functions on their threads: the coroutine that this one "
        "gives would never run; await it, or see run_coroutine_threadsafe()");
}

template <class R, class Function>
class FutureJob final : public Job {
public:
    explicit FutureJob(Function&& function) : function_(std::move(function)) {}

    ~FutureJob() override {
        if (!published_) {
            function_.reset();
            state_->cancel();
        }
    }

    [[nodiscard]] Future<R> future() const { return StateAccess::future(state_); }

    /// Cancels the future when `token` is triggered before the job starts.
    void cancel_on(std::stop_token token) {
        cancel_on_stop_.emplace(std::move(token), Canceller{state_});
    }

    void run() noexcept override {
        const bool wanted = state_->set_running_or_notify_cancel();
        cancel_on_stop_.reset();
        std::exception_ptr error;
        // NOLINTBEGIN(bugprone-unchecked-optional-access): a job runs once
        if (wanted) {
            try {
                if constexpr (std::is_void_v<R>) {
                    (*std::move(function_))();
                    state_->store();
                } else {
                    state_->store((*std::move(function_))());
                }
            } catch (...) {
                error = std::current_exception();
            }
        } else {
            published_ = true;
        }
        // NOLINTEND(bugprone-unchecked-optional-access)
        // A waiter that sees the result may rely on the arguments being gone.
        function_.reset();
        // Stored out of the handler: from here on the exception belongs to the future alone.
        if (error != nullptr) {
            state_->store_error(std::move(error));
        }
    }

    JobPtr publish(JobPtr self) noexcept override {
        if (!std::exchange(published_, true)) {
            self_ = std::move(state_);
            callbacks_ = FutureState::finish(self_);
        }
        return callbacks_.empty() ? nullptr : std::move(self);
    }

    void run_callbacks() noexcept override {
        FutureState::run_callbacks(std::move(self_), std::exchange(callbacks_, {}));
    }

    void fail(JobPtr self, std::exception_ptr error) noexcept override {
        const bool wanted = state_->set_running_or_notify_cancel();
        cancel_on_stop_.reset();
        function_.reset();
        if (!wanted) {
            published_ = true;
        } else {
            state_->store_error(std::move(error));
        }
        if (const JobPtr kept = publish(std::move(self))) {
            run_callbacks();
        }
    }

private:
    struct Canceller {
        StateRef<FutureState> state;

        void operator()() const noexcept { state->cancel(); }
    };

    std::optional<Function> function_;
    StateRef<TypedFutureState<R>> state_{*new TypedFutureState<R>()}; // until it is published
    StateRef<FutureState> self_; // the same from then on, if there are callbacks
    std::vector<FutureState::Callback> callbacks_;
    std::optional<std::stop_callback<Canceller>> cancel_on_stop_;
    bool published_ = false; // or cancelled, which publishes by itself
};

} // namespace detail

template <class R>
class MapResults;

/// How `map` runs.
struct MapOptions {
    /// For all results together, counted from the call of `map`.
    TimeLimit timeout = std::nullopt;
    /// How many results may be submitted but not yet given out; nothing: all are submitted at once,
    /// and the ranges are read before `map` returns. With a limit, they are read as results are
    /// taken: an lvalue range, and the executor, must outlive the results. ValueError when 0.
    std::optional<std::size_t> buffersize = std::nullopt;
};

/// Runs functions, each once, on threads of its choice. To bring an own one, derive and define
/// `execute` and `shutdown`; work may be dropped without a call (its future is then cancelled), but
/// must not be called twice. All members are thread-safe.
class Executor {
public:
    Executor() = default;
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    virtual ~Executor() = default;

    /// Runs `work` once, later, on some thread. What it throws is reported
    /// (`set_error_handler`). RuntimeError after `shutdown`.
    virtual void execute(UniqueFunction<void()> work) = 0;

    /// Refuses new work. What is queued still runs, or with `cancel_futures` is cancelled, what is
    /// running runs on. With `wait`, returns when all of it is done. May be called again.
    virtual void shutdown(bool wait = true, bool cancel_futures = false) = 0;

    /// How busy it is; zeros from an executor that does not tell.
    [[nodiscard]] virtual ExecutorMetrics metrics() const { return {}; }

    /// Runs `fn(args...)` on some thread. Function and arguments are decayed and moved in
    /// (`std::ref` shares), passed on as rvalues, and destroyed on that thread *before* the
    /// future is done; those of a cancelled future go when its turn comes. Any exception goes into
    /// the future. RuntimeError after `shutdown`. A job that waits for another job of the same
    /// executor can wait forever: the other may need the thread it blocks.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
    Future<detail::CallResult<std::decay_t<F>, std::decay_t<Args>...>> submit(F&& fn,
                                                                              Args&&... args) {
        using R = detail::CallResult<std::decay_t<F>, std::decay_t<Args>...>;
        return start<R>(std::nullopt, std::forward<F>(fn), std::forward<Args>(args)...);
    }

    /// The same, tied to `token`: a stop requested before the job starts cancels its future. One
    /// requested later is for `fn` to notice, which is given the token as its first argument if it
    /// takes one.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>, std::stop_token, std::decay_t<Args>...>
    auto submit(std::stop_token token, F&& fn, Args&&... args) {
        using R = detail::CallResult<std::decay_t<F>, std::stop_token, std::decay_t<Args>...>;
        return start<R>(token, std::forward<F>(fn), token, std::forward<Args>(args)...);
    }

    template <class F, class... Args>
        requires(!std::invocable<std::decay_t<F>, std::stop_token, std::decay_t<Args>...> &&
                 std::invocable<std::decay_t<F>, std::decay_t<Args>...>)
    auto submit(std::stop_token token, F&& fn, Args&&... args) {
        using R = detail::CallResult<std::decay_t<F>, std::decay_t<Args>...>;
        return start<R>(std::move(token), std::forward<F>(fn), std::forward<Args>(args)...);
    }

    /// Runs `fn(a, b, ...)` for the elements of the ranges, up to the end of the shortest, and
    /// gives the results in that order: `for (Config& config : pool.map(parse, texts))`. One copy
    /// of `fn` is called, as const, by several threads at once; elements are copied in, or moved
    /// out of a container given as an rvalue. See `MapResults` for errors.
    template <class F, std::ranges::input_range... Ranges>
        requires(sizeof...(Ranges) > 0)
    auto map(F&& fn, Ranges&&... ranges) {
        return map_all({}, std::forward<F>(fn), std::forward<Ranges>(ranges)...);
    }

    template <class F, std::ranges::input_range Range>
    auto map(F&& fn, Range&& range, MapOptions options) {
        return map_all(options, std::forward<F>(fn), std::forward<Range>(range));
    }

    template <class F, std::ranges::input_range Range, std::ranges::input_range Second>
    auto map(F&& fn, Range&& range, Second&& second, MapOptions options) {
        return map_all(options, std::forward<F>(fn), std::forward<Range>(range),
                       std::forward<Second>(second));
    }

    /// For the library: how jobs reach `execute`; its own executors take them as they are.
    virtual void enqueue(detail::JobPtr job);

private:
    template <class R, class F, class... Args>
    Future<R> start(std::optional<std::stop_token> token, F&& fn, Args&&... args) {
        detail::check_plain_result<R>();
        using Function = detail::Call<F, Args...>;
        auto* job = new detail::FutureJob<R, Function>(Function{
            std::forward<F>(fn), std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)});
        detail::JobPtr share(job);
        Future<R> future = job->future();
        if (token) {
            job->cancel_on(*std::move(token));
        }
        enqueue(std::move(share));
        return future;
    }

    template <class F, class... Ranges>
    auto map_all(const MapOptions& options, F&& fn, Ranges&&... ranges);
};

/// The results of `Executor::map`: an input range, or `next()`, each result given once and moved
/// out. An element that failed throws where it is pulled; the iteration is over then, and what has
/// not started is cancelled, as it is by a timeout and by the destructor. What runs, runs on, and
/// its result is dropped. For a function that returns void the elements are std::monostate.
template <class R>
class [[nodiscard]] MapResults
    : public muster::detail::PulledRange<MapResults<R>,
                                         std::conditional_t<std::is_void_v<R>, std::monostate, R>> {
public:
    using value_type = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

    /// For `map`: `submit_next` submits the next element, or gives nothing after the last.
    MapResults(const MapOptions& options, UniqueFunction<std::optional<Future<R>>()> submit_next)
        : deadline_(detail::deadline_of(options.timeout)), submit_next_(std::move(submit_next)) {
        if (options.buffersize && *options.buffersize == 0) {
            throw ValueError("map() needs a buffersize of 1 or more, or none");
        }
        try {
            while (submit_next_ && (!options.buffersize || futures_.size() < *options.buffersize)) {
                submit_one();
            }
        } catch (...) {
            stop();
            throw;
        }
    }

    ~MapResults() { stop(); }

    /// Waits for the next result; nothing after the last one or after an error. Throws what the
    /// function threw, TimeoutError, CancelledError.
    std::optional<value_type> next() {
        if (futures_.empty()) {
            return std::nullopt;
        }
        try {
            if (submit_next_) {
                submit_one();
            }
            detail::FutureState& front = detail::StateAccess::state(futures_.front());
            front.await_value(deadline_, false);
            Future<R> future = std::move(futures_.front());
            futures_.pop_front();
            if constexpr (std::is_void_v<R>) {
                return std::monostate();
            } else {
                return std::move(future).result();
            }
        } catch (...) {
            stop();
            throw;
        }
    }

private:
    void submit_one() {
        if (std::optional<Future<R>> future = submit_next_()) {
            futures_.push_back(*std::move(future));
        } else {
            submit_next_ = nullptr;
        }
    }

    void stop() noexcept {
        submit_next_ = nullptr;
        for (Future<R>& future : futures_) {
            future.ignore_errors();
            future.cancel();
        }
        futures_.clear();
    }

    detail::Deadline deadline_;
    UniqueFunction<std::optional<Future<R>>()> submit_next_;
    std::deque<Future<R>> futures_;
};

namespace detail {

/// The positions in the ranges of one `map` call.
template <class... Ranges>
class Zipped {
public:
    explicit Zipped(Ranges&&... ranges)
        : views_(muster::detail::HeldRange<Ranges>(std::forward<Ranges>(ranges))...),
          positions_(std::apply(
              [](auto&... views) { return Positions(std::ranges::begin(views)...); }, views_)) {}

    Zipped(const Zipped&) = delete;
    Zipped& operator=(const Zipped&) = delete;

    [[nodiscard]] bool at_end() { return at_end(std::index_sequence_for<Ranges...>()); }

    /// Calls `function` with the current elements, then goes to the next.
    template <class F>
    auto take(F&& function) {
        return take(std::forward<F>(function), std::index_sequence_for<Ranges...>());
    }

private:
    using Positions = std::tuple<std::ranges::iterator_t<muster::detail::HeldRange<Ranges>>...>;

    template <std::size_t... I>
    bool at_end(std::index_sequence<I...>) {
        return ((std::get<I>(positions_) == std::ranges::end(std::get<I>(views_))) || ...);
    }

    template <class F, std::size_t... I>
    auto take(F&& function, std::index_sequence<I...>) {
        auto result = function(element<Ranges>(std::get<I>(positions_))...);
        (static_cast<void>(++std::get<I>(positions_)), ...);
        return result;
    }

    /// A container given as an rvalue is ours: its elements are moved.
    template <class Range, class Iterator>
    static std::ranges::range_value_t<Range> element(Iterator& position) {
        if constexpr (!std::is_lvalue_reference_v<Range> && !std::ranges::view<Range>) {
            return std::ranges::iter_move(position);
        } else {
            return *position;
        }
    }

    std::tuple<muster::detail::HeldRange<Ranges>...> views_;
    Positions positions_;
};

} // namespace detail

template <class F, class... Ranges>
auto Executor::map_all(const MapOptions& options, F&& fn, Ranges&&... ranges) {
    using Function = const std::decay_t<F>;
    static_assert(std::invocable<Function&, std::ranges::range_value_t<Ranges>...>,
                  "the function given to map() must take one element of each range, and be "
                  "callable as const: all threads call the same one");
    using R = detail::CallResult<Function&, std::ranges::range_value_t<Ranges>...>;
    static_assert(!std::is_reference_v<R>, "a function given to map() must return a value");
    auto shared = std::make_shared<Function>(std::forward<F>(fn));
    auto source = std::make_unique<detail::Zipped<Ranges...>>(std::forward<Ranges>(ranges)...);
    auto submit_next = [this, shared = std::move(shared),
                        source = std::move(source)]() -> std::optional<Future<R>> {
        if (source->at_end()) {
            return std::nullopt;
        }
        return source->take([&](auto&&... elements) {
            return submit(
                [shared](auto&&... arguments) -> R {
                    return std::invoke(*shared, std::forward<decltype(arguments)>(arguments)...);
                },
                std::forward<decltype(elements)>(elements)...);
        });
    };
    return MapResults<R>(options, std::move(submit_next));
}

} // namespace muster::concurrent
