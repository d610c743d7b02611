#include "coro_test.hpp"
#include "unix_peer.hpp"

#include <muster/muster.hpp>

#include <string>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

/// The error that a read ends with.
template <class E, class T>
Coro<E> error_of(Coro<T> read) {
    try {
        static_cast<void>(co_await std::move(read));
    } catch (const E& error) {
        co_return error;
    }
    throw std::logic_error("no error");
}

} // namespace

CO_TEST_CASE("read gives what there is, up to a count, and nothing at the end") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    const std::string none = co_await stream.read(0); // does not wait
    CHECK(none.empty());
    peer.say("line1line2");
    const std::string first = co_await stream.read(5);
    CHECK(first == "line1");
    const std::string second = co_await stream.read(100);
    CHECK(second == "line2");
    peer.end();
    const std::string end = co_await stream.read(1024);
    CHECK(end.empty());
    const std::string again = co_await stream.read(1024);
    CHECK(again.empty());
}

CO_TEST_CASE("read waits for data") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> reader = create_task(stream.read(30));
    co_await turns(3);
    CHECK_FALSE(reader.done());
    peer.say("data");
    const std::string data = co_await reader;
    CHECK(data == "data");
}

CO_TEST_CASE("read without a count, or with a negative one, reads to the end") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> reader = create_task(stream.read());
    co_await turns();
    peer.say("chunk1\n");
    co_await taken(stream);
    CHECK_FALSE(reader.done());
    peer.say("chunk2");
    peer.end();
    const std::string all = co_await reader;
    CHECK(all == "chunk1\nchunk2");
    const std::string rest = co_await stream.read(-1);
    CHECK(rest.empty());
}

CO_TEST_CASE("the limit is not for read and readexactly") {
    UnixPeer peer;
    Stream stream = co_await peer.connect_limited(3);
    peer.say("chunkchunk");
    const std::string data = co_await stream.read(5);
    CHECK(data == "chunk");
    const std::string exact = co_await stream.readexactly(5);
    CHECK(exact == "chunk");
}

CO_TEST_CASE("a limit of 0 is refused") {
    UnixPeer peer;
    const auto error = co_await error_of<ValueError>(peer.connect_limited(0));
    CHECK(std::string(error.what()).find("imit") != std::string::npos);
}

CO_TEST_CASE("readline puts a line together from chunks and leaves the rest") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("chunk1 ");
    Task<std::string> reader = create_task(stream.readline());
    for (const char* chunk : {"chunk2 ", "chunk3 ", "\n chunk4"}) {
        co_await turns();
        co_await taken(stream);
        CHECK_FALSE(reader.done());
        peer.say(chunk);
    }
    const std::string line = co_await reader;
    CHECK(line == "chunk1 chunk2 chunk3 \n");
    const std::string rest = co_await stream.read(100);
    CHECK(rest == " chunk4");
}

CO_TEST_CASE("readline gives the last line without its end, then nothing") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("line1\nsome data");
    peer.end();
    CHECK_FALSE(stream.at_eof());
    const std::string first = co_await stream.readline();
    CHECK(first == "line1\n");
    const std::string last = co_await stream.readline();
    CHECK(last == "some data");
    CHECK(stream.at_eof());
    const std::string none = co_await stream.readline();
    CHECK(none.empty());
}

CO_TEST_CASE("next_line gives line after line, empty ones too, until the end") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("one\n\nthree");
    peer.end();
    std::vector<std::string> lines;
    while (auto line = co_await stream.next_line()) {
        lines.push_back(*line);
    }
    CHECK(lines == std::vector<std::string>{"one\n", "\n", "three"});
}

CO_TEST_CASE("a line over the limit is a ValueError, and is dropped when its end is there") {
    UnixPeer peer;
    Stream stream = co_await peer.connect_limited(7);
    peer.say("1234567\n");
    const std::string just = co_await stream.readline();
    CHECK(just == "1234567\n");
    peer.say("12345678\nshort\n");
    const auto found = co_await error_of<ValueError>(stream.readline());
    CHECK(std::string(found.what()).find("7 bytes") != std::string::npos);
    const std::string next = co_await stream.readline();
    CHECK(next == "short\n");
    // The end has not come: everything goes.
    peer.say("12345678");
    static_cast<void>(co_await error_of<ValueError>(stream.readline()));
    peer.say("9\n");
    const std::string rest = co_await stream.readline();
    CHECK(rest == "9\n");
    // The limit is reached while the reader waits.
    Task<std::string> reader = create_task(stream.readline());
    co_await turns();
    peer.say("chunk1");
    co_await taken(stream);
    CHECK_FALSE(reader.done());
    peer.say("chunk2");
    co_await until([&] { return reader.done(); });
    CHECK_THROWS_AS(reader.result(), ValueError);
}

CO_TEST_CASE("readuntil takes the separator along") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("lineAAAxxx>y");
    const std::string line = co_await stream.readuntil("AAA");
    CHECK(line == "lineAAA");
    const std::string either = co_await stream.readuntil({"#", ">"});
    CHECK(either == "xxx>");
    Task<std::string> reader = create_task(stream.readuntil("abc"));
    for (const char* chunk : {"a", "b", "c-"}) {
        co_await turns();
        co_await taken(stream);
        CHECK_FALSE(reader.done());
        peer.say(chunk);
    }
    const std::string pieces = co_await reader;
    CHECK(pieces == "yabc");
}

CO_TEST_CASE("readuntil needs separators that have something in them") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("data\n");
    static_cast<void>(co_await error_of<ValueError>(stream.readuntil("")));
    static_cast<void>(co_await error_of<ValueError>(stream.readuntil(std::vector<std::string>())));
    const std::string line = co_await stream.readline(); // nothing was lost
    CHECK(line == "data\n");
}

CO_TEST_CASE("readuntil at the end of the stream gives what had come as partial") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say("some dataAA");
    peer.end();
    const auto error = co_await error_of<IncompleteReadError>(stream.readuntil("AAA"));
    CHECK(error.partial() == "some dataAA");
    CHECK_FALSE(error.expected());
    CHECK(std::string(error.what()) == "11 bytes read on a total of undefined expected bytes");
    CHECK(stream.at_eof());
}

CO_TEST_CASE("readuntil over the limit leaves everything in the stream") {
    UnixPeer peer;
    Stream stream = co_await peer.connect_limited(3);
    peer.say("some dataAA");
    const auto missing = co_await error_of<LimitOverrunError>(stream.readuntil("AAA"));
    CHECK(std::string(missing.what()).find("not found") != std::string::npos);
    CHECK(missing.consumed() == 9);
    peer.say("A");
    const auto waited = co_await stream.readexactly(9);
    CHECK(waited == "some data");
    const std::string separator = co_await stream.readuntil("AAA");
    CHECK(separator == "AAA");
    peer.say("long enoughAAA");
    const auto late = co_await error_of<LimitOverrunError>(stream.readuntil({"AAA", "BB"}));
    CHECK(std::string(late.what()).find("is found") != std::string::npos);
    CHECK(late.consumed() == 11);
    const std::string still = co_await stream.readexactly(14);
    CHECK(still == "long enoughAAA");
}

CO_TEST_CASE("readexactly waits for all it wants, and for nothing when that is nothing") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    const std::string none = co_await stream.readexactly(0);
    CHECK(none.empty());
    CHECK_THROWS_AS(static_cast<void>(stream.readexactly(-1)), ValueError);
    Task<std::string> reader = create_task(stream.readexactly(8));
    co_await turns();
    peer.say("12345");
    co_await taken(stream);
    CHECK_FALSE(reader.done());
    peer.say("67890");
    const std::string data = co_await reader;
    CHECK(data == "12345678");
    peer.end();
    const auto error = co_await error_of<IncompleteReadError>(stream.readexactly(36));
    CHECK(error.partial() == "90");
    CHECK(error.expected() == std::size_t{36});
    CHECK(std::string(error.what()) == "2 bytes read on a total of 36 expected bytes");
    CHECK(stream.at_eof());
}

CO_TEST_CASE("much data comes whole, however it is cut") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    std::string sent;
    for (int i = 0; sent.size() < 300'000; ++i) {
        sent += std::to_string(i) + ",";
    }
    Task<std::string> reader = create_task(stream.readexactly(sent.size()));
    for (std::size_t at = 0; at < sent.size(); at += 50'000) {
        peer.say(std::string_view(sent).substr(at, 50'000));
        co_await taken(stream);
    }
    const std::string got = co_await reader;
    CHECK(got == sent);
}

CO_TEST_CASE("two tasks can't read at once") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> first = create_task(stream.readline());
    co_await turns();
    const auto error = co_await error_of<RuntimeError>(stream.read(1));
    CHECK(std::string(error.what())
              .find("read() called while another coroutine is already waiting for incoming data") ==
          0);
    peer.say("for the first\n");
    const std::string line = co_await first;
    CHECK(line == "for the first\n");
}

CO_TEST_CASE("a cancelled read loses nothing, whatever it had got") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> reader = create_task(stream.readexactly(10));
    co_await turns();
    peer.say("12345");
    co_await taken(stream);
    reader.cancel();
    co_await turns(2);
    CHECK(outcome(reader) == "cancelled");
    peer.say("67890");
    const std::string data = co_await stream.readexactly(10);
    CHECK(data == "1234567890");
    Task<std::string> all = create_task(stream.read());
    co_await turns();
    peer.say("rest");
    co_await taken(stream);
    all.cancel();
    co_await turns(2);
    peer.end();
    const std::string rest = co_await stream.read();
    CHECK(rest == "rest");
}

CO_TEST_CASE("a read can be cancelled at any moment") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> unstarted = create_task(stream.readline());
    unstarted.cancel();
    co_await turns();
    CHECK(outcome(unstarted) == "cancelled");

    // Cancelled before the await.
    Task<std::string> before = create_task([](Stream& from) -> Coro<std::string> {
        current_task().cancel();
        co_return co_await from.readline();
    }(stream));
    co_await turns(2);
    CHECK(outcome(before) == "cancelled");

    Task<std::string> waiting = create_task(stream.readline());
    co_await turns();
    waiting.cancel("enough");
    co_await turns();
    CHECK(ending(waiting) == "cancelled: enough");

    // In the turn in which the data arrives.
    Task<std::string> late = create_task(stream.readline());
    co_await turns();
    create_task([](Stream& from, UnixPeer& to, Task<std::string> task) -> Coro<void> {
        to.say("line\n");
        co_await taken(from);
        task.cancel();
    }(stream, peer, late));
    co_await until([&] { return late.done(); });
    if (late.cancelled()) {
        const std::string kept = co_await stream.readline();
        CHECK(kept == "line\n");
    } else {
        CHECK(late.result() == "line\n");
    }
}

CO_TEST_CASE("a reader of a full buffer lets other tasks run") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    peer.say(std::string(2000, '\n'));
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
        static_cast<void>(co_await stream.readline());
    }
    CHECK(others - before >= 5);
    over = true;
    co_await other;
}

CO_TEST_CASE("closing a stream ends a read that waits") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> reader = create_task(stream.readline());
    co_await turns();
    stream.close();
    const std::string line = co_await reader;
    CHECK(line.empty());
    CHECK(stream.at_eof());
}

CO_TEST_CASE("a stream may move and go while a task reads from it") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    Task<std::string> reader = create_task(stream.readline());
    co_await turns();
    {
        Stream moved = std::move(stream);
        peer.say("line\n");
        const std::string line = co_await reader;
        CHECK(line == "line\n");
        reader = create_task(moved.readline());
        co_await turns();
    }
    const std::string end = co_await reader;
    CHECK(end.empty());
    // NOLINTNEXTLINE(bugprone-use-after-move): it has to say so
    CHECK_THROWS_AS(static_cast<void>(stream.read()), RuntimeError);
    CHECK(stream.is_closing());
}

CO_TEST_CASE("at_eof notices a peer that hung up, without a read") {
    UnixPeer peer;
    Stream stream = co_await peer.connect();
    CHECK_FALSE(stream.at_eof());
    peer.say("x");
    peer.hang_up();
    CHECK_FALSE(stream.at_eof());
    const std::string last = co_await stream.read(10);
    CHECK(last == "x");
    CHECK(stream.at_eof());
}

TEST_CASE("a loop that is destroyed while a task reads leaves nothing behind") {
    UnixPeer peer;
    EventLoop loop;
    const auto main = [&]() -> Coro<void> {
        create_task([](UnixPeer& from) -> Coro<void> {
            Stream stream = co_await from.connect();
            static_cast<void>(co_await stream.readline());
        }(peer));
        co_await until([&] { return peer.connected(); });
        co_await turns(2);
    };
    loop.run_until_complete(main());
}

TEST_CASE("a stream that outlives its loop is closed, and says so") {
    UnixPeer peer;
    Stream stream = run(peer.connect());
    CHECK(stream.is_closing());
    CHECK(stream.fileno() == -1);
    CHECK(stream.peername().path == peer.path());
    stream.close();
    CHECK(peer.hears_end());
    const auto error = run(error_of<ConnectionResetError>(stream.read(1)));
    CHECK(std::string(error.what()).find("event loop") != std::string::npos);
}
