#include <muster/core/error.hpp>
#include <muster/device/error.hpp>
#include <muster/fleet/event.hpp>
#include <muster/fleet/outcome.hpp>
#include <muster/http/error.hpp>
#include <muster/ssh/error.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <stdexcept>
#include <string>

using muster::device::DeviceError;
using muster::device::Failure;

using muster::fleet::describe_failure;
using muster::fleet::Event;
using muster::fleet::FailureReport;
using muster::fleet::Outcome;

namespace {

FailureReport describe_device_error(muster::device::Phase phase, bool refused = false) {
    Failure failure;
    failure.device = "r1";
    failure.host = "192.0.2.1:22";
    failure.phase = phase;
    failure.reason = "no answer";
    failure.remedy = "is it plugged in?";
    failure.timed_out = true;
    failure.refused = refused;
    return describe_failure(std::make_exception_ptr(DeviceError(failure)), "ignored");
}

} // namespace

TEST_CASE("a device error gives phase, reason and remedy") {
    const FailureReport report = describe_device_error(muster::device::Phase::connect);
    CHECK(report.phase == "connect");
    CHECK(report.reason == "no answer");
    CHECK(report.remedy == "is it plugged in?");
    CHECK(report.timed_out);
    CHECK_FALSE(report.refused);
    CHECK(to_string(report) == "connect: no answer; is it plugged in?");
}

TEST_CASE("a device is unreachable until its first prompt") {
    CHECK(describe_device_error(muster::device::Phase::resolve).unreachable);
    CHECK(describe_device_error(muster::device::Phase::authentication, true).unreachable);
    CHECK(describe_device_error(muster::device::Phase::authentication, true).refused);
    CHECK_FALSE(describe_device_error(muster::device::Phase::prompt).unreachable);
    CHECK_FALSE(describe_device_error(muster::device::Phase::command).unreachable);
}

TEST_CASE("an error of the ssh room gives the same") {
    const auto describe = [](muster::ssh::Phase phase, muster::ssh::ErrorKind kind) {
        muster::ssh::Failure failure;
        failure.host = "r1";
        failure.phase = phase;
        failure.kind = kind;
        failure.reason = "refused";
        failure.remedy = "ask";
        return describe_failure(std::make_exception_ptr(muster::ssh::Error(failure)), "ignored");
    };
    using muster::ssh::ErrorKind;
    using muster::ssh::Phase;
    const FailureReport report = describe(Phase::authentication, ErrorKind::authentication);
    CHECK(to_string(report) == "authentication: refused; ask");
    CHECK(report.refused);
    CHECK(report.unreachable);
    CHECK_FALSE(report.timed_out);
    CHECK(describe(Phase::key_exchange, ErrorKind::timeout).timed_out);
    CHECK_FALSE(describe(Phase::channel, ErrorKind::connection_lost).unreachable);
}

TEST_CASE("an error of the http room gives the same") {
    const auto describe = [](muster::http::Phase phase, muster::http::ErrorKind kind) {
        muster::http::Failure failure;
        failure.phase = phase;
        failure.kind = kind;
        failure.reason = "no answer";
        return describe_failure(std::make_exception_ptr(muster::http::Error(failure)), "ignored");
    };
    using muster::http::ErrorKind;
    using muster::http::Phase;
    const FailureReport report = describe(Phase::tls, ErrorKind::timeout);
    CHECK(to_string(report) == "TLS: no answer");
    CHECK(report.timed_out);
    CHECK(report.unreachable);
    CHECK_FALSE(describe(Phase::request, ErrorKind::connection_lost).unreachable);
}

TEST_CASE("other errors give their text in the phase the job was in") {
    const auto report =
        describe_failure(std::make_exception_ptr(std::runtime_error("bad template")), "render");
    CHECK(to_string(report) == "render: bad template");
    CHECK_FALSE(report.timed_out);
    CHECK(describe_failure(std::make_exception_ptr(muster::TimeoutError()), "").timed_out);
    CHECK(to_string(describe_failure(std::make_exception_ptr(5), "")) ==
          "an exception that is not derived from std::exception");
}

TEST_CASE("an event gives its outcome only as the type it has") {
    Outcome<int> outcome;
    outcome.value = 5;
    Event event;
    CHECK_THROWS_AS((void)event.outcome_as<int>(), muster::InvalidStateError);
    event.kind = Event::Kind::finished;
    event.outcome = &outcome;
    event.result_type = &typeid(Outcome<int>);
    CHECK(event.outcome_as<int>().value == 5);
    CHECK_THROWS_AS((void)event.outcome_as<std::string>(), muster::InvalidStateError);
}
