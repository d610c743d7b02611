// expect: task_group.. takes a function that gives a Coro: it is called with a TaskGroup&
#include <muster/core/task_group.hpp>

using namespace muster;

Coro<> parent() {
#ifdef MUSTER_BAD
    co_await task_group([]() -> Coro<> { co_return; });
#else
    co_await task_group([](TaskGroup&) -> Coro<> { co_return; });
#endif
}
