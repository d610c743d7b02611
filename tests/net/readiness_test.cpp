#include "coro_test.hpp"

#include <muster/muster.hpp>
#include <muster/net/readiness.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::ending;
using testing_support::outcome;
using testing_support::turns;

namespace {

class Pipe {
public:
    Pipe() { REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0); }

    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    ~Pipe() {
        close_writing();
        ::close(ends_[0]);
    }

    [[nodiscard]] int reading() const { return ends_[0]; }

    [[nodiscard]] int writing() const { return ends_[1]; }

    void close_writing() {
        if (ends_[1] >= 0) {
            ::close(ends_[1]);
            ends_[1] = -1;
        }
    }

    /// Writes until it is full.
    void fill() const {
        const int flags = ::fcntl(ends_[1], F_GETFL);
        ::fcntl(ends_[1], F_SETFL, flags | O_NONBLOCK);
        const std::string block(4096, 'x');
        while (::write(ends_[1], block.data(), block.size()) > 0) {
        }
        ::fcntl(ends_[1], F_SETFL, flags);
    }

private:
    std::array<int, 2> ends_{-1, -1};
};

Coro<void> until_done(const Task<void>& task) {
    while (!task.done()) {
        co_await async_sleep(0s);
    }
}

} // namespace

CO_TEST_CASE("readable waits for data, and leaves it and the descriptor's flags alone") {
    Pipe pipe;
    const int flags = ::fcntl(pipe.reading(), F_GETFL);
    Task<void> waiting = create_task(readable(pipe.reading()));
    co_await turns(3);
    CHECK_FALSE(waiting.done());
    CHECK(::fcntl(pipe.reading(), F_GETFL) == flags);
    REQUIRE(::write(pipe.writing(), "x", 1) == 1);
    co_await waiting;
    co_await readable(pipe.reading()); // it still is
    char byte = 0;
    CHECK(::read(pipe.reading(), &byte, 1) == 1);
    waiting = create_task(readable(pipe.reading()));
    co_await turns(3);
    CHECK_FALSE(waiting.done());
    pipe.close_writing();
    co_await until_done(waiting); // the end can be read, too
    CHECK(outcome(waiting) == "value");
}

CO_TEST_CASE("writable waits for room") {
    const Pipe pipe;
    co_await writable(pipe.writing());
    pipe.fill();
    Task<void> waiting = create_task(writable(pipe.writing()));
    co_await turns(3);
    CHECK_FALSE(waiting.done());
    std::string block(65536, '\0');
    REQUIRE(::read(pipe.reading(), block.data(), block.size()) > 0);
    co_await until_done(waiting);
    CHECK(outcome(waiting) == "value");
}

CO_TEST_CASE("several tasks wait for one descriptor") {
    const Pipe pipe;
    Task<void> first = create_task(readable(pipe.reading()));
    Task<void> second = create_task(readable(pipe.reading()));
    co_await turns(3);
    REQUIRE(::write(pipe.writing(), "x", 1) == 1);
    co_await until_done(first);
    co_await until_done(second);
    CHECK(outcome(first) == "value");
    CHECK(outcome(second) == "value");
}

CO_TEST_CASE("what can't be waited for is an error") {
    Task<void> closed = create_task(readable(-1));
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    Task<void> regular = create_task(readable(file));
    co_await turns(3);
    CHECK(ending(closed).find("descriptor -1: Bad file descriptor") != std::string::npos);
    CHECK(ending(regular).find("descriptor") != std::string::npos);
    ::close(file);
}

CO_TEST_CASE("waiting for a descriptor can be cancelled at any moment") {
    const Pipe pipe;
    Task<void> unstarted = create_task(readable(pipe.reading()));
    unstarted.cancel();
    Task<void> before = create_task([](int fd) -> Coro<void> {
        current_task().cancel();
        co_await readable(fd);
    }(pipe.reading()));
    Task<void> waiting = create_task(readable(pipe.reading()));
    co_await turns(3);
    waiting.cancel();
    co_await until_done(waiting);
    CHECK(outcome(unstarted) == "cancelled");
    CHECK(outcome(before) == "cancelled");
    CHECK(outcome(waiting) == "cancelled");
}

TEST_CASE("a loop that is destroyed while a task waits for a descriptor leaves nothing behind") {
    const Pipe pipe;
    EventLoop loop;
    const auto main = [&]() -> Coro<void> {
        create_task(readable(pipe.reading()));
        co_await turns(3);
    };
    loop.run_until_complete(main());
}
