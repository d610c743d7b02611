// expect: a Coro is awaited once: write co_await std::move.coro.
#include <muster/core/coro.hpp>

#include <utility>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
    Coro<> coro = child();
#ifdef MUSTER_BAD
    co_await coro;
#else
    co_await std::move(coro);
#endif
}
