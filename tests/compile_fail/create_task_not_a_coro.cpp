// expect: it takes a Coro, or a function that gives one
#include <muster/core/task.hpp>

using namespace muster;

Coro<> child() { co_return; }

void spawn() {
#ifdef MUSTER_BAD
    create_task([] {});
#else
    create_task(child);
#endif
}
