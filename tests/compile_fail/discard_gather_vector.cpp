// expect: gather.. does nothing until it is awaited
#include <muster/core/gather.hpp>

#include <utility>
#include <vector>

using namespace muster;

Coro<> parent(std::vector<Coro<>> children) {
#ifdef MUSTER_BAD
    gather(std::move(children));
    co_return;
#else
    co_await gather(std::move(children));
#endif
}
