// expect: timeout.. takes a function that gives a Coro
#include <muster/core/timeout.hpp>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    co_await timeout(std::chrono::seconds(1), child());
#else
    co_await timeout(std::chrono::seconds(1), child);
#endif
}
