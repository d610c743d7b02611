// expect: the guard releases at the end of its scope: keep it in a variable
// only: Clang (GCC does not look at what a discarded co_await gives)
#include <muster/core/coro.hpp>
#include <muster/sync/lock.hpp>

using namespace muster;

Coro<> locked(Lock& lock) {
#ifdef MUSTER_BAD
    co_await lock.guard();
#else
    auto held = co_await lock.guard();
#endif
}
