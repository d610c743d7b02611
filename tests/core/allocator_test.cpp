#include "coro_test.hpp"

#include <muster/muster.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string>
#include <utility>

using namespace muster;
using namespace std::chrono_literals;
using testing_support::turns;

namespace {

// What a Counting allocator has done.
struct Counts {
    int allocations = 0;
    std::size_t alive = 0; // bytes
};

template <class T>
class Counting {
public:
    using value_type = T;

    explicit Counting(Counts& counts) noexcept : counts_(&counts) {}

    template <class U>
    Counting(const Counting<U>& other) noexcept : counts_(other.counts()) {}

    T* allocate(std::size_t count) {
        ++counts_->allocations;
        counts_->alive += count * sizeof(T);
        return std::allocator<T>().allocate(count);
    }

    void deallocate(T* objects, std::size_t count) noexcept {
        counts_->alive -= count * sizeof(T);
        std::allocator<T>().deallocate(objects, count);
    }

    [[nodiscard]] Counts* counts() const noexcept { return counts_; }

    friend bool operator==(const Counting& a, const Counting& b) noexcept {
        return a.counts_ == b.counts_;
    }

private:
    Counts* counts_;
};

using Allocator = Counting<std::byte>;

Coro<int> add(std::allocator_arg_t, Allocator, int a, int b) {
    co_await async_sleep(0s);
    co_return a + b;
}

Coro<> nothing(std::allocator_arg_t, const Allocator&) { co_return; }

Coro<std::unique_ptr<int>> takes_over(std::allocator_arg_t, Allocator, std::unique_ptr<int> value) {
    co_return value;
}

Coro<int> fails(std::allocator_arg_t, Allocator) {
    co_await async_sleep(0s);
    throw ValueError("inside");
}

class Adder {
public:
    explicit Adder(int base) : base_(base) {}

    Coro<int> add(std::allocator_arg_t, Allocator, int value) const { co_return base_ + value; }

private:
    int base_;
};

Coro<int> on_resource(std::allocator_arg_t, std::pmr::polymorphic_allocator<> allocator) {
    const std::pmr::string text("a text that is too long for the small string optimisation",
                                allocator);
    co_await async_sleep(0s);
    co_return static_cast<int>(text.size());
}

} // namespace

CO_TEST_CASE(
    "allocator_arg: the frame of a function comes from the allocator and goes back to it") {
    Counts counts;
    const int sum = co_await add(std::allocator_arg, Allocator(counts), 1, 2);
    CHECK(sum == 3);
    CHECK(counts.allocations == 1);
    CHECK(counts.alive == 0);
    co_await nothing(std::allocator_arg, Allocator(counts));
    CHECK(counts.allocations == 2);
    {
        Coro<int> unused = add(std::allocator_arg, Allocator(counts), 1, 2);
        CHECK(counts.alive > 0);
        unused.close();
    }
    CHECK(counts.allocations == 3);
    CHECK(counts.alive == 0);
}

CO_TEST_CASE("allocator_arg: member functions and lambdas") {
    Counts counts;
    const Adder adder(40);
    const int member = co_await adder.add(std::allocator_arg, Allocator(counts), 2);
    CHECK(member == 42);
    CHECK(counts.allocations == 1);
    const auto lambda = [&](std::allocator_arg_t, Allocator, int value) -> Coro<int> {
        co_await async_sleep(0s);
        co_return value * 2;
    };
    const int doubled = co_await lambda(std::allocator_arg, Allocator(counts), 21);
    CHECK(doubled == 42);
    CHECK(counts.allocations == 2);
    CHECK(counts.alive == 0);
}

CO_TEST_CASE("allocator_arg: arguments that only move, and errors") {
    Counts counts;
    const auto value =
        co_await takes_over(std::allocator_arg, Allocator(counts), std::make_unique<int>(3));
    CHECK(*value == 3);
    bool caught = false;
    try {
        static_cast<void>(co_await fails(std::allocator_arg, Allocator(counts)));
    } catch (const ValueError&) {
        caught = true;
    }
    CHECK(caught);
    CHECK(counts.allocations == 2);
    CHECK(counts.alive == 0);
}

CO_TEST_CASE("allocator_arg: as tasks, in gather, and cancelled") {
    Counts counts;
    const Allocator allocator(counts);
    const auto [one, two] = co_await gather(add(std::allocator_arg, allocator, 1, 1),
                                            add(std::allocator_arg, allocator, 2, 2));
    CHECK(one + two == 6);
    const Task<int> task = create_task(add(std::allocator_arg, allocator, 1, 2));
    CHECK(counts.alive > 0);
    co_await turns();
    task.cancel();
    co_await turns();
    CHECK(task.cancelled());
    CHECK(counts.allocations == 3);
    CHECK(counts.alive == 0);
}

TEST_CASE("allocator_arg: frames of a loop that goes away go back to their allocator") {
    Counts counts;
    {
        EventLoop loop;
        const auto waits = [](std::allocator_arg_t, Allocator allocator) -> Coro<> {
            co_await gather(add(std::allocator_arg, allocator, 1, 2), async_sleep(1h));
        };
        loop.create_task(waits(std::allocator_arg, Allocator(counts)));
        loop.run_until_complete(turns(3));
        CHECK(counts.alive > 0);
    }
    CHECK(counts.allocations == 2);
    CHECK(counts.alive == 0);
}

CO_TEST_CASE("allocator_arg: a memory resource") {
    std::array<std::byte, 4096> buffer;
    std::pmr::monotonic_buffer_resource resource(buffer.data(), buffer.size(),
                                                 std::pmr::null_memory_resource());
    const int size = co_await on_resource(std::allocator_arg, &resource);
    CHECK(size == 57);
}

CO_TEST_CASE("allocator_arg: the coroutine knows where it stands, also before it begins") {
    Counts counts;
    const Task<int> task = create_task(add(std::allocator_arg, Allocator(counts), 1, 2));
    REQUIRE(task.stack().size() == 1);
    CHECK(std::string(task.stack()[0].file_name()).find("allocator_test.cpp") != std::string::npos);
    static_cast<void>(co_await task);
}
