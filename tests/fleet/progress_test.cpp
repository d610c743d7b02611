#include <muster/fleet/progress.hpp>

#include <doctest/doctest.h>

#include <chrono>

using namespace std::chrono_literals;
using muster::fleet::DeviceOutcome;
using muster::fleet::Ending;
using muster::fleet::Event;
using muster::fleet::Progress;
using muster::fleet::to_words;

TEST_CASE("progress counts what waits, runs and is done") {
    Progress progress(4);
    CHECK(progress.waiting() == 4);
    progress.started();
    progress.started();
    CHECK(progress.running() == 2);
    CHECK(progress.waiting() == 2);
    progress.finished(Ending::succeeded, 1s);
    progress.finished(Ending::failed, 1s);
    progress.finished(Ending::not_started, 1s);
    CHECK(progress.running() == 0);
    CHECK(progress.done() == 3);
    CHECK(progress.waiting() == 1);
    CHECK(progress.count(Ending::succeeded) == 1);
    CHECK(progress.count(Ending::failed) == 1);
    CHECK(progress.count(Ending::not_started) == 1);
    CHECK(progress.count(Ending::cancelled) == 0);
}

TEST_CASE("progress observes the events of a run") {
    Progress progress(2);
    Event event;
    progress.observe(event);
    CHECK(progress.running() == 1);
    event.kind = Event::Kind::phase;
    progress.observe(event);
    CHECK(progress.running() == 1);
    DeviceOutcome outcome;
    outcome.ending = Ending::cancelled;
    event.kind = Event::Kind::finished;
    event.outcome = &outcome;
    progress.observe(event);
    CHECK(progress.count(Ending::cancelled) == 1);
    CHECK(progress.running() == 0);
}

TEST_CASE("the rate is that of the last thirty seconds, and there is none at first") {
    Progress progress(1000);
    for (int i = 0; i < 1000; ++i) {
        progress.started();
    }
    CHECK(progress.rate(5s) == 0);
    CHECK_FALSE(progress.time_left(5s).has_value());
    for (int i = 0; i < 20; ++i) {
        progress.finished(Ending::succeeded, 10s);
    }
    CHECK(progress.rate(10s) == doctest::Approx(2));
    CHECK(progress.time_left(10s) == 490s);
    // Ten a second for half a minute: what came before no longer counts.
    for (int second = 20; second < 50; ++second) {
        for (int i = 0; i < 10; ++i) {
            progress.finished(Ending::succeeded, std::chrono::seconds(second));
        }
    }
    CHECK(progress.rate(50s) == doctest::Approx(290.0 / 29));
    CHECK(progress.rate(200s) == 0);
}

TEST_CASE("the line says what matters and leaves out the rest") {
    Progress progress(50);
    CHECK(progress.line(0s) == "0/50 done");
    for (int i = 0; i < 18; ++i) {
        progress.started();
    }
    CHECK(progress.line(1s) == "0/50 done, 18 running");
    for (int i = 0; i < 8; ++i) {
        progress.finished(Ending::succeeded, 2s);
    }
    progress.finished(Ending::failed, 2s);
    progress.finished(Ending::failed, 2s);
    CHECK(progress.line(2s) == "10/50 done, 2 failed, 8 running, 5.0/s, 8.0 s left");
    for (int i = 0; i < 8; ++i) {
        progress.finished(Ending::succeeded, 4s);
    }
    for (int i = 0; i < 32; ++i) {
        progress.finished(Ending::not_started, 4s);
    }
    CHECK(progress.line(4s) == "50/50 done, 2 failed");
}

TEST_CASE("times in words") {
    CHECK(to_words(0s) == "0.0 s");
    CHECK(to_words(-1s) == "0.0 s");
    CHECK(to_words(410ms) == "0.4 s");
    CHECK(to_words(9940ms) == "9.9 s");
    CHECK(to_words(9960ms) == "10 s");
    CHECK(to_words(59600ms) == "1 min 0 s");
    CHECK(to_words(200s) == "3 min 20 s");
    CHECK(to_words(125min) == "2 h 5 min");
}
