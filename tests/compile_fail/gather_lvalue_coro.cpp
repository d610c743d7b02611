// expect: gather.. takes a Coro over: write gather.std::move.coro..
#include <muster/core/gather.hpp>

#include <utility>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
    Coro<> coro = child();
#ifdef MUSTER_BAD
    co_await gather(coro, child());
#else
    co_await gather(std::move(coro), child());
#endif
}
