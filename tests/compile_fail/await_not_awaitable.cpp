// expect: this is not awaitable: co_await takes a Coro, Task, Future
#include <muster/core/coro.hpp>

using namespace muster;

Coro<int> child() { co_return 1; }

int not_a_coroutine() { return 1; }

Coro<int> parent() {
#ifdef MUSTER_BAD
    co_return co_await not_a_coroutine();
#else
    co_return co_await child() + not_a_coroutine();
#endif
}
