// expect: gather.. takes awaitables: Coro, Task, Future
#include <muster/core/gather.hpp>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    co_await gather(child(), 1);
#else
    co_await gather(child(), child());
#endif
}
