#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <thread>

using namespace muster;
using testing_support::turns;

TEST_CASE("what other threads post takes no room in the pool of the loop's thread") {
    EventLoop loop;
    loop.run_until_complete(turns(1)); // the pool has room from here on
    const std::size_t room = detail::frame_pool.room;
    std::thread poster([&] {
        for (int i = 0; i < 1000; ++i) {
            loop.call_soon_threadsafe([] {});
        }
        loop.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run_forever();
    poster.join();
    CHECK(detail::frame_pool.room == room);
}
