// A loop on a host's io_context: what the host may do with it, and what it may not.

#include "coro_test.hpp"
#include "loop_reports.hpp"

#include <muster/muster.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using testing_support::LoopReports;
using testing_support::outcome;
using testing_support::turns;

namespace {

bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

Coro<> forever() { co_await async_sleep(1h); }

// Two threads tell each other how far they are.
class Signal {
public:
    void set() { promise_.set_value(); }

    void wait() const { future_.wait(); }

private:
    std::promise<void> promise_;
    std::shared_future<void> future_ = promise_.get_future().share();
};

} // namespace

TEST_CASE("embedding: a task that waits is work for the host, unless keep_alive is off") {
    for (const bool keep_alive : {true, false}) {
        CAPTURE(keep_alive);
        asio::io_context host;
        EventLoop loop(host, {.keep_alive = keep_alive});
        const Future<> future = loop.create_future();
        const auto waits = [&]() -> Coro<> { co_await future; };
        const Task<> task = loop.create_task(waits());
        host.poll();
        CHECK_FALSE(task.done());
        CHECK(host.stopped() == !keep_alive); // stopped for lack of work
        future.set_result();
        host.restart();
        host.run();
        CHECK(task.done());
        CHECK(host.stopped());
    }
}

TEST_CASE("embedding: a deadline that nobody needs any more does not hold the host") {
    asio::io_context host;
    EventLoop loop(host);
    const auto quick = []() -> Coro<> { co_await timeout(1h, [] { return turns(3); }); };
    const Task<> task = loop.create_task(quick());
    loop.call_later(1h, [] {}).cancel();
    host.run();
    CHECK(task.done());
}

TEST_CASE("embedding: a host that stops in the midst of a turn goes on with it later") {
    asio::io_context host;
    EventLoop loop(host);
    std::vector<int> order;
    for (int i = 0; i < 3; ++i) {
        loop.call_soon([&, i] {
            order.push_back(i);
            loop.call_soon([&, i] { order.push_back(10 + i); });
            host.stop();
        });
    }
    loop.call_later(1ms, [&] { order.push_back(20); });
    while (order.size() < 7) {
        host.restart();
        host.run();
    }
    CHECK(order == std::vector<int>{0, 1, 2, 10, 11, 12, 20});
}

TEST_CASE("embedding: what is given to the loop while the host rests waits for it") {
    asio::io_context host;
    EventLoop loop(host);
    host.run();
    host.restart();
    const Task<> task = loop.create_task(turns(2));
    bool posted = false;
    loop.call_soon_threadsafe([&] { posted = true; });
    CHECK_FALSE(loop.is_running());
    host.run();
    CHECK(task.done());
    CHECK(posted);
}

TEST_CASE("embedding: several loops share a host, each with its own tasks") {
    asio::io_context host;
    EventLoop first(host);
    EventLoop second(host);
    std::vector<std::string> notes;
    const auto body = [&](EventLoop& loop, std::string name) -> Coro<> {
        for (int i = 0; i < 2; ++i) {
            CHECK(&get_running_loop() == &loop);
            CHECK(all_tasks().size() == 1);
            co_await async_sleep(0s);
        }
        notes.push_back(name);
    };
    const Task<> one = first.create_task(body(first, "first"));
    const Task<> two = second.create_task(body(second, "second"));
    host.run();
    CHECK(notes == std::vector<std::string>{"first", "second"});
}

TEST_CASE("embedding: a loop that goes first leaves handlers in the host that find nobody") {
    asio::io_context host;
    int ran = 0;
    {
        EventLoop loop(host);
        loop.create_task(forever());
        loop.call_soon([&] { ++ran; });
        loop.call_later(1ms, [&] { ++ran; });
        loop.call_soon_threadsafe([&] { ++ran; });
    }
    host.run();
    CHECK(ran == 0);
}

TEST_CASE("embedding: when the io_context goes first, what outlives it is inert") {
    auto host = std::make_unique<asio::io_context>();
    auto first = std::make_unique<EventLoop>(*host);
    EventLoop second(*host);
    const Task<> task = first->create_task(forever());
    const Future<int> future = second.create_future<int>();
    TimerHandle timer = second.call_later(1h, [] {});
    host->poll();
    host.reset();
    CHECK(first->is_closed());
    CHECK(second.is_closed());
    CHECK(outcome(task) == "cancelled");
    CHECK(future.cancelled());
    timer.cancel();
    task.cancel();
    CHECK_THROWS_AS(second.create_task(forever()), RuntimeError);
    CHECK_THROWS_AS(second.call_soon_threadsafe([] {}), RuntimeError);
    second.close();
    first.reset();
}

TEST_CASE("embedding: KeyboardInterrupt can't stop a host's loop and is reported") {
    asio::io_context host;
    EventLoop loop(host);
    const LoopReports reports(loop);
    loop.call_soon([] { throw KeyboardInterrupt(); });
    bool later = false;
    loop.call_soon([&] { later = true; });
    host.run();
    CHECK(later);
    REQUIRE(reports.texts().size() == 1);
    CHECK(says(reports.texts()[0], "Exception in callback"));
}

TEST_CASE("embedding: a host that is run by a second thread is reported, once") {
    asio::io_context host;
    EventLoop loop(host);
    const LoopReports reports(loop);
    Signal inside;
    Signal release;
    loop.call_soon([] {});
    asio::post(host, [&] {
        inside.set();
        release.wait();
    });
    std::thread other([&] { host.run(); });
    inside.wait(); // the other thread is in the midst of host.run(), and has run the loop
    int ran = 0;
    for (int i = 0; i < 2; ++i) {
        loop.call_soon([&] { ++ran; });
        host.poll_one();
    }
    CHECK(ran == 2);
    release.set();
    other.join();
    REQUIRE(reports.texts().size() == 1);
    CHECK(says(reports.texts()[0], "is run by several threads"));
}

TEST_CASE("embedding: two threads never run the loop at the same time, and nothing is lost") {
    asio::io_context host;
    EventLoop loop(host);
    const LoopReports reports(loop);
    Signal inside;
    Signal release;
    std::thread::id ran_on;
    loop.call_later(0s, [&] { ran_on = std::this_thread::get_id(); }); // Asio's timer is armed
    loop.call_soon([&] {
        inside.set();
        release.wait();
    });
    std::thread other([&] { host.run(); });
    const std::thread::id other_thread = other.get_id();
    inside.wait();               // in a callback of the loop
    CHECK(host.poll_one() == 1); // the timer, or what call_soon() has posted
    CHECK(ran_on == std::thread::id());
    release.set();
    other.join();
    CHECK(ran_on == other_thread);
    REQUIRE(reports.texts().size() == 1);
    CHECK(says(reports.texts()[0], "is run by several threads"));
}

TEST_CASE("embedding: a thread that has ended leaves the loop to another") {
    asio::io_context host;
    EventLoop loop(host);
    loop.set_debug(true);
    const LoopReports reports(loop);
    const Task<> first = loop.create_task(turns(2));
    std::thread other([&] { host.run(); });
    other.join();
    CHECK(first.done());
    const Task<> second = loop.create_task(turns(2));
    host.restart();
    host.run();
    CHECK(second.done());
    CHECK(reports.texts().empty());
}

TEST_CASE("embedding: in debug mode a wrong thread is refused while the host's thread lives") {
    asio::io_context host;
    EventLoop loop(host);
    loop.set_debug(true);
    Signal inside;
    Signal release;
    loop.call_soon([] {});
    asio::post(host, [&] {
        inside.set();
        release.wait();
    });
    std::thread other([&] { host.run(); });
    inside.wait();
    std::string text;
    try {
        loop.call_soon([] {}); // nothing of the loop runs now, and the other thread has it
    } catch (const RuntimeError& error) {
        text = error.what();
    }
    CHECK(says(text, "call_soon_threadsafe()"));
    release.set();
    other.join();
    loop.call_soon([] {});
}
