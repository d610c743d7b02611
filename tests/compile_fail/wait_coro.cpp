// expect: wait.. takes a range of Task, Future or AnyTask: it starts nothing
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
    static_cast<void>(co_await wait(std::move(all)));
}
