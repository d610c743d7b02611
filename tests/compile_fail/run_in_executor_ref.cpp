// expect: takes no std::ref: use to_thread.., which waits, or pass a shared_ptr
#include <muster/core/run_in_executor.hpp>
#include <muster/sync/to_thread.hpp>

#include <functional>

using namespace muster;

void work(int& value) { ++value; }

Coro<> parent() {
    int value = 0;
#ifdef MUSTER_BAD
    co_await run_in_executor(work, std::ref(value));
#else
    co_await to_thread(work, std::ref(value));
#endif
}
