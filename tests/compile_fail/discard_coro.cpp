// expect: a Coro does nothing until it is awaited or made a task
#include <muster/core/coro.hpp>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    child();
#endif
    co_await child();
}
