// expect: nothing is acquired until this is awaited
#include <muster/core/coro.hpp>
#include <muster/sync/lock.hpp>

using namespace muster;

Coro<> locked(Lock& lock) {
#ifdef MUSTER_BAD
    lock.acquire();
#else
    co_await lock.acquire();
#endif
    lock.release();
    co_return;
}
