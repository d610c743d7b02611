// expect: timeout.. takes a function that gives a Coro
#include <muster/core/timeout.hpp>

using namespace muster;

Coro<> parent() {
#ifdef MUSTER_BAD
    co_await timeout(std::chrono::seconds(1), [] {});
#else
    co_await timeout(std::chrono::seconds(1), []() -> Coro<> { co_return; });
#endif
}
