// expect: nothing is taken from the queue until this is awaited
#include <muster/core/coro.hpp>
#include <muster/sync/queue.hpp>

using namespace muster;

Coro<int> take(Queue<int>& queue) {
#ifdef MUSTER_BAD
    queue.get();
#endif
    co_return co_await queue.get();
}
