#include <muster/core/concurrent_queue.hpp>

#include <doctest/doctest.h>

TEST_CASE("y") {
    muster::concurrent::Queue<int> q(2);
    q.put(1);
    CHECK(q.get() == 1);
    muster::concurrent::PriorityQueue<int> p(2);
    p.put(1);
    CHECK(p.get() == 1);
    p.shutdown(true);
    muster::concurrent::LifoQueue<int> l(2);
    l.put(1);
    CHECK(l.get() == 1);
}
