// expect: does nothing until it is awaited
#include <muster/core/task_group.hpp>

using namespace muster;

Coro<> body(TaskGroup&) { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    task_group(body);
#endif
    co_await task_group(body);
}
