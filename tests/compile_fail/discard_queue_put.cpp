// expect: nothing is put into the queue until this is awaited
#include <muster/core/coro.hpp>
#include <muster/sync/queue.hpp>

using namespace muster;

Coro<> give(Queue<int>& queue) {
#ifdef MUSTER_BAD
    queue.put(1);
#endif
    co_await queue.put(1);
}
