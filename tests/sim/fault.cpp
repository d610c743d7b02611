#include <muster/core/error.hpp>
#include <muster/sim/fault.hpp>

#include <doctest/doctest.h>

using namespace muster::sim;
using namespace std::chrono_literals;

TEST_CASE("A failure is written as what happens after which step") {
    auto fault = Fault::parse("hang-after-banner");
    CHECK(fault.failure == Failure::hang);
    CHECK(fault.after == Step::banner);
    fault = Fault::parse("reset-after-key-exchange");
    CHECK(fault.failure == Failure::reset);
    CHECK(fault.after == Step::key_exchange);
    fault = Fault::parse("close-after-line:12");
    CHECK(fault.failure == Failure::close);
    CHECK(fault.after == Step::line);
    CHECK(fault.line == 12);
}

TEST_CASE("Parts of a fault are joined by plus signs") {
    const auto fault = Fault::parse("wrong-host-key+noise+drip:5ms+reject-line:ntp server");
    CHECK(fault.failure == Failure::none);
    CHECK(fault.wrong_host_key);
    CHECK(fault.noise);
    CHECK_FALSE(fault.exec_once);
    CHECK_FALSE(fault.one_session);
    CHECK(Fault::parse("one-session+noise").one_session);
    CHECK(fault.drip == 5ms);
    CHECK(fault.reject_line == "ntp server");
}

TEST_CASE("A fault that does not exist is refused with the list of those that do") {
    for (const auto* text :
         {"", "hang", "hang-after-lunch", "close-after-line", "hang-after-line:0",
          "close-after-line:x", "hang-after-accept:2", "noise+", "noisy", "reject-line:"}) {
        CHECK_THROWS_AS(Fault::parse(text), muster::ValueError);
    }
    CHECK_THROWS_WITH_AS(Fault::parse("noisy"), doctest::Contains("unknown fault \"noisy\""),
                         muster::ValueError);
    CHECK_THROWS_WITH_AS(Fault::parse("noisy"), doctest::Contains("garbage-banner"),
                         muster::ValueError);
}

TEST_CASE("Durations have units, a bare number is seconds") {
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("1.5s") == 1500ms);
    CHECK(parse_duration("2m") == 2min);
    CHECK(parse_duration("3") == 3s);
    for (const auto* text : {"", "ms", "-1s", "1h", "1s ", "1e99", "nan"}) {
        CHECK_THROWS_AS(parse_duration(text), muster::ValueError);
    }
}
