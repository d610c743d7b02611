// expect: as_completed.. takes a range of Task or Future: it starts nothing
#include <muster/muster.hpp>

#include <utility>
#include <vector>

using namespace muster;

Coro<> child() { co_return; }

Coro<> parent() {
#ifdef MUSTER_BAD
    std::vector<Coro<>> all;
    all.push_back(child());
#else
    std::vector<Task<>> all;
    all.push_back(create_task(child()));
#endif
    for (auto next : as_completed(std::move(all))) {
        co_await std::move(next);
    }
}
