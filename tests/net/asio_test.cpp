#include <muster/asio.hpp>
#include <muster/muster.hpp>

#include <boost/asio.hpp>
#include <doctest/doctest.h>

#include <array>
#include <future>
#include <string>
#include <thread>

using namespace muster;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Two ends of a TCP connection on loopback.
struct Pair {
    explicit Pair(asio::io_context& context) : near(context), far(context) {
        tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        near.connect(acceptor.local_endpoint());
        acceptor.accept(far);
    }

    tcp::socket near;
    tcp::socket far;
};

asio::io_context& context() { return get_running_loop().io_context(); }

Coro<std::string> read_text(tcp::socket& socket, std::size_t size) {
    std::string text(size, '\0');
    co_await asio::async_read(socket, asio::buffer(text), use_coro);
    co_return text;
}

} // namespace

TEST_CASE("use_coro awaits Asio operations, composed ones too") {
    const auto main = []() -> Coro<std::string> {
        Pair pair(context());
        const std::string sent = "hello";
        Task<std::string> reader = create_task(read_text(pair.far, sent.size()));
        const std::size_t written =
            co_await asio::async_write(pair.near, asio::buffer(sent), use_coro);
        CHECK(written == 5);
        co_return co_await reader;
    };
    CHECK(run(main()) == "hello");
}

TEST_CASE("an error is thrown by use_coro and returned by as_tuple(use_coro)") {
    const auto main = []() -> Coro<int> {
        Pair pair(context());
        pair.near.close();
        std::array<char, 4> buffer{};
        const auto outcome =
            co_await pair.far.async_read_some(asio::buffer(buffer), asio::as_tuple(use_coro));
        CHECK(std::get<0>(outcome) == asio::error::eof);
        CHECK(std::get<1>(outcome) == 0);
        try {
            co_await pair.far.async_read_some(asio::buffer(buffer), use_coro);
        } catch (const boost::system::system_error& error) {
            CHECK(error.code() == asio::error::eof);
            co_return 1;
        }
        co_return 0;
    };
    CHECK(run(main()) == 1);
}

TEST_CASE("a deferred operation is awaited as it is") {
    const auto main = []() -> Coro<bool> {
        asio::steady_timer timer(context(), 1ms);
        co_await timer.async_wait(asio::deferred);
        co_return true;
    };
    CHECK(run(main()));
}

TEST_CASE("cancelling a task cancels its Asio operation and throws CancelledError") {
    const auto main = []() -> Coro<bool> {
        Pair pair(context());
        Task<std::string> reader = create_task(read_text(pair.far, 10));
        co_await async_sleep(0s);
        reader.cancel();
        bool cancelled = false;
        try {
            co_await reader;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        // The socket is free for the next operation.
        const std::string text = "0123456789";
        co_await asio::async_write(pair.near, asio::buffer(text), use_coro);
        co_return cancelled&& co_await read_text(pair.far, 10) == text;
    };
    CHECK(run(main()));
}

TEST_CASE("an operation that completes in spite of a cancellation gives its value, and the "
          "cancellation comes at the next suspension") {
    const auto main = []() -> Coro<void> {
        UniqueFunction<void(boost::system::error_code, int)> complete;
        const auto start = [&] {
            return asio::async_initiate<const UseCoro, void(boost::system::error_code, int)>(
                [&](auto handler) { complete = std::move(handler); }, use_coro);
        };
        int value = 0;
        bool cancelled_later = false;
        const auto body = [&]() -> Coro<void> {
            value = co_await start();
            try {
                co_await async_sleep(1h);
            } catch (const CancelledError&) {
                cancelled_later = true;
                throw;
            }
        };
        Task<void> task = create_task(body());
        co_await async_sleep(0s);
        task.cancel();
        co_await async_sleep(0s);
        CHECK_FALSE(task.done()); // it waits for the operation, which does not heed cancellation
        complete({}, 9);
        co_await gather(return_exceptions, task);
        CHECK(value == 9);
        CHECK(cancelled_later);
        CHECK(task.cancelled());
    };
    run(main());
}

TEST_CASE("timeout around an Asio operation ends it") {
    const auto main = []() -> Coro<bool> {
        Pair pair(context());
        const auto body = [&]() -> Coro<std::string> { return read_text(pair.far, 1); };
        try {
            co_await timeout(5ms, body);
        } catch (const TimeoutError&) {
            co_return true;
        }
        co_return false;
    };
    CHECK(run(main()));
}

TEST_CASE("a loop destroyed with an operation in flight leaves nothing behind") {
    auto loop = std::make_unique<EventLoop>();
    Pair pair(loop->io_context());
    loop->create_task(read_text(pair.far, 10));
    const auto turn = []() -> Coro<void> { co_await async_sleep(0s); };
    loop->run_until_complete(turn());
    pair.near.close();
    pair.far.close();
    loop.reset();
}

TEST_CASE("co_spawn completes a callback on the host's io_context") {
    asio::io_context host;
    EventLoop loop(host);
    const auto body = []() -> Coro<int> {
        co_await async_sleep(1ms);
        co_return 7;
    };
    int result = 0;
    co_spawn(loop, body(), [&](std::exception_ptr error, int value) {
        CHECK(error == nullptr);
        result = value;
    });
    host.run();
    CHECK(result == 7);
}

TEST_CASE("co_spawn gives a std::future to another thread, exceptions included") {
    EventLoop loop;
    const auto body = [](bool fail) -> Coro<int> {
        co_await async_sleep(1ms);
        if (fail) {
            throw ValueError("no");
        }
        co_return 3;
    };
    int got = 0;
    bool threw = false;
    std::thread other([&] {
        got = co_spawn(loop, body(false), asio::use_future).get();
        try {
            co_spawn(loop, body(true), asio::use_future).get();
        } catch (const ValueError&) {
            threw = true;
        }
        loop.stop();
    });
    loop.run_forever();
    other.join();
    CHECK(got == 3);
    CHECK(threw);
}

TEST_CASE("co_spawn honours the cancellation slot of its token") {
    asio::io_context host;
    EventLoop loop(host);
    asio::cancellation_signal signal;
    const auto body = []() -> Coro<void> { co_await async_sleep(1h); };
    bool cancelled = false;
    co_spawn(loop, body(),
             asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error) {
                 try {
                     std::rethrow_exception(error);
                 } catch (const CancelledError&) {
                     cancelled = true;
                 }
             }));
    asio::post(host, [&] { signal.emit(asio::cancellation_type::all); });
    host.run();
    CHECK(cancelled);
}

TEST_CASE("an embedded loop keeps its host running while a task lives, and no longer") {
    asio::io_context host;
    EventLoop loop(host);
    int steps = 0;
    const auto body = [&]() -> Coro<void> {
        for (; steps < 3; ++steps) {
            co_await async_sleep(1ms);
        }
    };
    loop.create_task(body());
    host.run();
    CHECK(steps == 3);
    CHECK_THROWS_AS(loop.run_forever(), RuntimeError);
    CHECK_THROWS_AS(loop.stop(), RuntimeError);
}

TEST_CASE("a host that stops and restarts finds what was queued") {
    asio::io_context host;
    EventLoop loop(host);
    bool done = false;
    const auto body = [&]() -> Coro<void> {
        host.stop();
        co_await async_sleep(0s);
        co_await async_sleep(1ms);
        done = true;
    };
    loop.create_task(body());
    host.run();
    host.restart();
    host.run();
    CHECK(done);
}

TEST_CASE("async_shutdown cancels what an embedded loop still runs") {
    asio::io_context host;
    EventLoop loop(host);
    bool cancelled = false;
    const auto body = [&]() -> Coro<void> {
        try {
            co_await async_sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
            throw;
        }
    };
    loop.create_task(body());
    bool complete = false;
    asio::steady_timer soon(host, 1ms);
    soon.async_wait([&](boost::system::error_code) {
        async_shutdown(loop, [&](std::exception_ptr error) { complete = error == nullptr; });
    });
    host.run();
    CHECK(cancelled);
    CHECK(complete);
}

TEST_CASE("an io_context destroyed first closes the loop that is embedded in it") {
    auto host = std::make_unique<asio::io_context>();
    EventLoop loop(*host);
    bool destroyed = false;

    struct Mark {
        bool& flag;

        ~Mark() { flag = true; }
    };

    const auto body = [&]() -> Coro<void> {
        const Mark mark{destroyed};
        co_await async_sleep(1h);
    };
    loop.create_task(body());
    host->run_one();
    host.reset();
    CHECK(destroyed);
    CHECK(loop.is_closed());
    CHECK_THROWS_AS(loop.call_soon([] {}), RuntimeError);
}
