// expect: gather.. does nothing until it is awaited
#include <muster/core/gather.hpp>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    gather(child(), child());
#endif
    co_await gather(child(), child());
}
