#pragma once
/// How a run over a fleet went, device by device.

#include <muster/core/clock.hpp>
#include <muster/core/error.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace muster::fleet {

/// How a device's part of a run ended.
enum class Ending : std::uint8_t {
    succeeded,   ///< the job returned
    failed,      ///< the job threw, or its time was up
    cancelled,   ///< the run was cancelled while the job was at work
    not_started, ///< the run stopped before this device's turn: nothing was sent to it
};

/// "succeeded", "failed", "cancelled", "not started".
[[nodiscard]] std::string_view to_string(Ending ending) noexcept;

/// Why a device failed, in words for people.
struct FailureReport {
    /// Where in the session: "connect", "authentication", "command", or what the job called it.
    std::string phase;
    std::string reason;
    /// What to do about it; empty when nothing is known.
    std::string remedy;
    bool timed_out = false;
    /// The device was reached and refused the login: trying again counts against the account.
    bool refused = false;
    /// The session never came up, so nothing was sent to the device.
    bool unreachable = false;
};

/// `phase: reason; remedy` on one line.
[[nodiscard]] std::string to_string(const FailureReport& failure);

/// What an exception says of a failure: the parts of a DeviceError, an ssh::Error or an
/// http::Error, else its text. `phase` is used where the exception names none.
[[nodiscard]] FailureReport describe_failure(const std::exception_ptr& error,
                                             std::string_view phase);

/// How one device's part ended; `Outcome<R>` adds the job's result.
struct DeviceOutcome {
    /// The device's name.
    std::string device;
    /// `host:port`.
    std::string endpoint;
    Ending ending = Ending::not_started;
    /// Set when `ending` is failed.
    std::optional<FailureReport> failure;
    /// What the job threw; null unless `ending` is failed.
    std::exception_ptr error;
    /// From the start of the job to its end.
    Clock::duration elapsed{};
};

/// The outcome for a job that gives R; void is std::monostate.
template <class R>
struct Outcome : DeviceOutcome {
    using value_type = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

    /// Set when `ending` is succeeded.
    std::optional<value_type> value;
};

/// What run_fleet() gives: one outcome for each device, in the order of the inventory.
template <class R>
struct FleetResult {
    FleetResult() = default;
    FleetResult(FleetResult&&) noexcept = default;
    FleetResult& operator=(FleetResult&&) noexcept = default;
    ~FleetResult() = default;
    // A vector claims to be copyable whatever it holds; awaiting a task asks.
    FleetResult(const FleetResult&)
        requires std::copy_constructible<Outcome<R>>
    = default;
    FleetResult& operator=(const FleetResult&)
        requires std::copy_constructible<Outcome<R>>
    = default;

    std::vector<Outcome<R>> outcomes;
    Clock::duration elapsed{};

    [[nodiscard]] std::size_t count(Ending ending) const {
        return static_cast<std::size_t>(
            std::count_if(outcomes.begin(), outcomes.end(),
                          [&](const Outcome<R>& outcome) { return outcome.ending == ending; }));
    }

    [[nodiscard]] bool all_succeeded() const { return count(Ending::succeeded) == outcomes.size(); }
};

} // namespace muster::fleet
