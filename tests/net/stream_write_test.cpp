#include "coro_test.hpp"
#include "unix_peer.hpp"

#include <muster/muster.hpp>

#include <fcntl.h>

#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

constexpr std::size_t much = std::size_t{4} << 20; // more than any socket takes at once

/// A stream to a peer that does not read, with much written to it.
Coro<Stream> clogged(UnixPeer& peer) {
    Stream stream = co_await peer.connect();
    stream.write(std::string(much, 'x'));
    CHECK(stream.write_buffer_size() > default_stream_limit);
    co_return stream;
}

/// Lets the peer read until `count` bytes have come.
Coro<std::string> hear_all(const UnixPeer& peer, std::size_t count) {
    std::string heard;
    while (heard.size() < count) {
        heard += peer.hear();
        co_await async_sleep(0s);
    }
    co_return heard;
}

} // namespace

CO_TEST_CASE("write sends without being awaited, and in order when it is") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    stream.write("one ");
    CHECK(peer.hear() == "one ");
    co_await stream.write("two ");
    stream.write("");
    stream.writelines({"three ", "four "});
    const std::vector<std::string> lines{"five", "six"};
    co_await stream.writelines(lines);
    co_await stream.drain();
    CHECK(peer.hear() == "two three four fivesix");
    CHECK(stream.write_buffer_size() == 0);
}

CO_TEST_CASE("write never waits, and what it was given may go") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    std::string expected;
    for (int i = 0; i < 64; ++i) {
        std::string piece(100'000, static_cast<char>('a' + i % 26));
        expected += piece;
        stream.write(piece);
    }
    const std::string heard = co_await hear_all(peer, expected.size());
    CHECK(heard == expected);
    co_await stream.drain();
    CHECK(stream.write_buffer_size() == 0);
}

CO_TEST_CASE("drain waits while a peer does not read, from the high to the low-water mark") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    stream.set_write_buffer_limits(1'000'000, 500'000);
    Task<void> drain = create_task(stream.drain());
    Task<void> other = create_task([](Stream& to) -> Coro<void> {
        co_await to.write("y"); // any number of tasks may
    }(stream));
    co_await turns(5);
    CHECK_FALSE(drain.done());
    CHECK_FALSE(other.done());
    while (!drain.done()) {
        static_cast<void>(peer.hear());
        co_await async_sleep(0s);
    }
    co_await other;
    CHECK(stream.write_buffer_size() <= 500'000);
    CHECK(stream.write_buffer_size() > 0);
    co_await stream.drain(); // at once now
}

CO_TEST_CASE("set_write_buffer_limits wants low below high, and counts at once") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    CHECK_THROWS_AS(stream.set_write_buffer_limits(10, 11), ValueError);
    Task<void> drain = create_task(stream.drain());
    co_await turns(2);
    CHECK_FALSE(drain.done());
    stream.set_write_buffer_limits(2 * much, 2 * much);
    co_await drain;
    stream.set_write_buffer_limits(0); // drain() now waits for everything
    drain = create_task(stream.drain());
    co_await turns(2);
    CHECK_FALSE(drain.done());
    static_cast<void>(co_await hear_all(peer, much));
    co_await drain;
    CHECK(stream.write_buffer_size() == 0);
}

CO_TEST_CASE("a drain can be cancelled at any moment, and what was written is sent all the same") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    Task<void> unstarted = create_task(stream.drain());
    unstarted.cancel();
    Task<void> before = create_task([](Stream& to) -> Coro<void> {
        current_task().cancel();
        co_await to.write("!");
    }(stream));
    Task<void> waiting = create_task(stream.drain());
    co_await turns(2);
    waiting.cancel();
    co_await turns(2);
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(before) == "cancelled");
    CHECK(outcome(waiting) == "cancelled");
    // In the turn in which it completes.
    Task<void> late = create_task(stream.drain());
    create_task([](Stream& to, Task<void> task) -> Coro<void> {
        co_await to.drain();
        task.cancel();
    }(stream, late));
    const std::string heard = co_await hear_all(peer, much + 1);
    CHECK(heard.back() == '!');
    co_await turns(2);
    CHECK(late.done());
}

CO_TEST_CASE("drain lets other tasks run once in a while") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    int others = 0;
    bool over = false;
    Task<void> other = create_task([](int& count, const bool& stop) -> Coro<void> {
        while (!stop) {
            ++count;
            co_await async_sleep(0s);
        }
    }(others, over));
    co_await turns();
    const int before = others;
    for (int i = 0; i < 2000; ++i) {
        co_await stream.write("x");
    }
    CHECK(others - before >= 5);
    over = true;
    co_await other;
}

CO_TEST_CASE("write_eof ends one direction only, after what was written") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    CHECK(stream.can_write_eof());
    stream.write_eof();
    stream.write_eof(); // harmless
    CHECK_THROWS_AS(stream.write("more"), RuntimeError);
    const std::string heard = co_await hear_all(peer, much);
    CHECK(heard.size() == much);
    co_await until([&] { return peer.hears_end(); });
    CHECK_FALSE(stream.is_closing());
    peer.say("answer\n");
    const std::string line = co_await stream.readline();
    CHECK(line == "answer\n");
}

CO_TEST_CASE("close sends what was written first, and wait_closed waits for that") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    CHECK_FALSE(stream.is_closing());
    stream.close();
    stream.close(); // harmless
    CHECK(stream.is_closing());
    CHECK_THROWS_AS(stream.write("more"), RuntimeError);
    Task<void> closed = create_task(stream.wait_closed());
    co_await turns(3);
    CHECK_FALSE(closed.done());
    const std::string heard = co_await hear_all(peer, much);
    CHECK(heard.size() == much);
    co_await closed;
    CHECK(peer.hears_end());
    CHECK(stream.fileno() == -1);
    co_await stream.wait_closed(); // at once now
    Task<void> drain = create_task(stream.drain());
    co_await turns(2);
    CHECK(ending(drain).find("is closed") != std::string::npos);
}

CO_TEST_CASE("wait_closed waits for somebody to close the stream, and can be cancelled") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<void> first = create_task(stream.wait_closed());
    Task<void> second = create_task(stream.wait_closed());
    co_await turns(2);
    first.cancel();
    co_await turns(2);
    CHECK(outcome(first) == "cancelled");
    CHECK_FALSE(second.done());
    stream.close();
    co_await second;
}

CO_TEST_CASE("a stream that is dropped sends what was written, then closes") {
    UnixPeer peer;
    {
        const Stream stream = co_await clogged(peer);
    }
    const std::string heard = co_await hear_all(peer, much);
    CHECK(heard.size() == much);
    co_await until([&] { return peer.hears_end(); });
}

CO_TEST_CASE("closing with bytes unread is an end for the peer, not a reset") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("nobody reads this");
    stream.write("bye");
    stream.close();
    co_await stream.wait_closed();
    CHECK(peer.hear() == "bye");
    CHECK(peer.hears_end());
}

CO_TEST_CASE("abort drops what was not sent, and wait_closed says so") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    Task<void> drain = create_task(stream.drain());
    co_await turns(2);
    stream.abort();
    stream.abort(); // harmless
    co_await turns(2);
    CHECK(ending(drain).find("aborted") != std::string::npos);
    Task<void> closed = create_task(stream.wait_closed());
    co_await turns(2);
    CHECK(ending(closed).find("aborted") != std::string::npos);
    CHECK(peer.hear().size() < much);
    CHECK(peer.hears_end());
    // With nothing left to send, nothing was lost.
    Stream other = co_await peer.connect();
    other.abort();
    co_await other.wait_closed();
}

CO_TEST_CASE("a connection that breaks while data waits is told to drain and wait_closed") {
    UnixPeer peer;
    Stream stream = co_await clogged(peer);
    peer.say("the reason\n");
    Task<void> drain = create_task(stream.drain());
    co_await turns(2);
    CHECK_FALSE(drain.done());
    peer.hang_up();
    co_await until([&] { return drain.done(); });
    CHECK_THROWS_AS(drain.result(), ConnectionResetError);
    CHECK(ending(drain).find(peer.path()) != std::string::npos);
    CHECK(stream.is_closing());
    stream.write("dropped"); // no exception, as in asyncio
    Task<void> again = create_task(stream.drain());
    Task<void> closed = create_task(stream.wait_closed());
    co_await turns(2);
    CHECK_THROWS_AS(again.result(), ConnectionResetError);
    CHECK_THROWS_AS(closed.result(), ConnectionResetError);
    // What the peer said before can be read.
    const std::string line = co_await stream.readline();
    CHECK(line == "the reason\n");
}

CO_TEST_CASE("no child process inherits the socket") {
    UnixPeer peer;
    const Stream stream = co_await peer.connect();
    CHECK((::fcntl(stream.fileno(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a loop that is destroyed while a task drains leaves nothing behind") {
    UnixPeer peer;
    EventLoop loop;
    const auto main = [&]() -> Coro<void> {
        create_task([](UnixPeer& to) -> Coro<void> {
            Stream stream = co_await clogged(to);
            co_await stream.drain();
        }(peer));
        co_await until([&] { return peer.connected(); });
        co_await turns(3);
    };
    loop.run_until_complete(main());
}

TEST_CASE("a stream belongs to one loop") {
    UnixPeer peer;
    EventLoop loop;
    std::optional<Stream> stream;
    const auto make = [&]() -> Coro<void> { stream = co_await peer.connect(); };
    loop.run_until_complete(make());
    try {
        static_cast<void>(run(stream->readline()));
        FAIL("it read");
    } catch (const RuntimeError& error) {
        CHECK(std::string(error.what()).find("another event loop") != std::string::npos);
    }
}
