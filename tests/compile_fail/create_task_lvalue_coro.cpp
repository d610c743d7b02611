// expect: a Coro is not copied: write std::move.coro.
#include <muster/core/task.hpp>

#include <utility>

using namespace muster;

Coro<> child() { co_return; }

void spawn() {
    Coro<> coro = child();
#ifdef MUSTER_BAD
    create_task(coro);
#else
    create_task(std::move(coro));
#endif
}
