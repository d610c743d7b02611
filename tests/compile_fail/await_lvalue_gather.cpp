// expect: this is awaited once, as an rvalue: write co_await std::move
#include <muster/core/gather.hpp>

#include <utility>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
    auto both = gather(child(), child());
#ifdef MUSTER_BAD
    co_await both;
#else
    co_await std::move(both);
#endif
}
