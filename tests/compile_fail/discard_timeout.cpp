// expect: does nothing until it is awaited
#include <muster/core/timeout.hpp>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    timeout(std::chrono::seconds(1), child);
#endif
    co_await timeout(std::chrono::seconds(1), child);
}
