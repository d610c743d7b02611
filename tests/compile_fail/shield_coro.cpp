// expect: shield.. takes a Task or Future, or a function and its arguments
#include <muster/muster.hpp>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    co_await shield(child());
#else
    co_await shield(create_task(child()));
#endif
}
