// expect: a sleep does nothing until it is awaited
#include <muster/core/coro.hpp>
#include <muster/core/sleep.hpp>

using namespace muster;

Coro<> parent() {
#ifdef MUSTER_BAD
    async_sleep(std::chrono::seconds(1));
#endif
    co_await async_sleep(std::chrono::seconds(1));
}
