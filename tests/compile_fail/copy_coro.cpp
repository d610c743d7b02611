// expect: a Coro is not copied: write std::move.coro.
#include <muster/core/coro.hpp>

#include <utility>
#include <vector>

using namespace muster;

void keep(std::vector<Coro<>>& coros, Coro<> coro) {
#ifdef MUSTER_BAD
    coros[0] = coro;
#else
    coros[0] = std::move(coro);
#endif
}
