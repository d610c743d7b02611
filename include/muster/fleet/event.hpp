#pragma once

#include <muster/core/clock.hpp>
#include <muster/core/error.hpp>
#include <muster/device/device.hpp>
#include <muster/fleet/outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <typeinfo>

namespace muster::fleet {

/// What happens in a run, as it happens: given to `FleetOptions::on_event`. Each device is
/// finished exactly once, also when it was never started; `started` and `phase` come before that.
struct Event {
    enum class Kind : std::uint8_t { started, phase, finished };

    Kind kind = Kind::started;
    /// Lives as long as the inventory.
    const device::Device* device = nullptr;
    /// The device's place in the inventory.
    std::size_t index = 0;
    /// Since the run began.
    Clock::duration at{};
    /// Kind::phase: what the job does now. Only valid during the call.
    std::string_view phase = {};
    /// Kind::finished: how it ended, else nullptr. Only valid during the call.
    const DeviceOutcome* outcome = nullptr;
    /// For outcome_as(): the R of the run.
    const std::type_info* result_type = nullptr;

    /// The outcome with the job's result. Throws InvalidStateError unless the device is finished
    /// and the run's job gives R.
    template <class R>
    [[nodiscard]] const Outcome<R>& outcome_as() const {
        if (outcome == nullptr || result_type == nullptr || *result_type != typeid(Outcome<R>)) {
            throw InvalidStateError("the event has no outcome of that type");
        }
        return static_cast<const Outcome<R>&>(*outcome);
    }
};

} // namespace muster::fleet
