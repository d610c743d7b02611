#include <muster/core/error.hpp>
#include <muster/device/error.hpp>
#include <muster/fleet/outcome.hpp>
#include <muster/http/error.hpp>
#include <muster/ssh/error.hpp>

namespace muster::fleet {
namespace {

FailureReport from_device_error(const device::DeviceError& error) {
    const device::Failure& failure = error.failure();
    FailureReport report;
    report.phase = device::to_string(failure.phase);
    report.reason = failure.reason;
    report.remedy = failure.remedy;
    report.timed_out = failure.timed_out;
    report.refused = failure.refused;
    // Until the first prompt nothing but the login has been sent.
    report.unreachable = failure.phase < device::Phase::prompt;
    return report;
}

// For jobs that use the ssh and http rooms without a device's session.
FailureReport from_ssh_error(const ssh::Error& error) {
    FailureReport report;
    report.phase = ssh::to_string(error.phase());
    report.reason = error.reason();
    report.remedy = error.remedy();
    report.timed_out = error.kind() == ssh::ErrorKind::timeout;
    report.refused = error.kind() == ssh::ErrorKind::authentication;
    report.unreachable = error.phase() < ssh::Phase::channel;
    return report;
}

FailureReport from_http_error(const http::Error& error) {
    FailureReport report;
    report.phase = http::to_string(error.phase());
    report.reason = error.reason();
    report.remedy = error.remedy();
    report.timed_out = error.kind() == http::ErrorKind::timeout;
    report.unreachable = error.phase() < http::Phase::request;
    return report;
}

FailureReport from_text(std::string_view phase, const char* reason) {
    FailureReport report;
    report.phase = phase;
    report.reason = reason;
    return report;
}

} // namespace

std::string_view to_string(Ending ending) noexcept {
    switch (ending) {
    case Ending::succeeded:
        return "succeeded";
    case Ending::failed:
        return "failed";
    case Ending::cancelled:
        return "cancelled";
    case Ending::not_started:
        return "not started";
    }
    return "unknown";
}

std::string to_string(const FailureReport& failure) {
    std::string text = failure.phase.empty() ? "" : failure.phase + ": ";
    text += failure.reason;
    if (!failure.remedy.empty()) {
        text += "; " + failure.remedy;
    }
    return text;
}

FailureReport describe_failure(const std::exception_ptr& error, std::string_view phase) {
    try {
        std::rethrow_exception(error);
    } catch (const device::DeviceError& failed) {
        return from_device_error(failed);
    } catch (const ssh::Error& failed) {
        return from_ssh_error(failed);
    } catch (const http::Error& failed) {
        return from_http_error(failed);
    } catch (const TimeoutError& failed) {
        FailureReport report = from_text(phase, failed.what());
        report.timed_out = true;
        return report;
    } catch (const std::exception& failed) {
        return from_text(phase, failed.what());
    } catch (...) {
        return from_text(phase, "an exception that is not derived from std::exception");
    }
}

} // namespace muster::fleet
