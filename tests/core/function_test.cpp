#include <muster/core/function.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

using muster::UniqueFunction;

namespace {

int doubled(int value) { return 2 * value; }

struct Counted {
    explicit Counted(int& alive_count) : alive(&alive_count) { ++*alive; }

    Counted(Counted&& other) noexcept : alive(other.alive) { ++*alive; }

    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    Counted& operator=(Counted&&) = delete;

    ~Counted() { --*alive; }

    int* alive;
};

static_assert(!std::is_copy_constructible_v<UniqueFunction<void()>>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFunction<void()>>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFunction<void()>>);
static_assert(!std::is_constructible_v<UniqueFunction<void()>, void (*)(int)>);
static_assert(!std::is_constructible_v<UniqueFunction<std::string()>, int (*)()>);

} // namespace

TEST_CASE("UniqueFunction calls functions, closures and members") {
    UniqueFunction<int(int)> pointer = doubled;
    CHECK(pointer(21) == 42);

    UniqueFunction<int(int)> closure = [base = 40](int value) { return base + value; };
    CHECK(closure(2) == 42);

    UniqueFunction<std::size_t(const std::string&)> member = &std::string::size;
    CHECK(member("four") == 4);
}

TEST_CASE("UniqueFunction owns a closure that can only be moved") {
    UniqueFunction<int()> function = [value = std::make_unique<int>(7)] { return *value; };
    UniqueFunction<int()> moved = std::move(function);
    CHECK_FALSE(function);
    CHECK(moved() == 7);
}

TEST_CASE("UniqueFunction keeps the state of a mutable closure across calls and moves") {
    UniqueFunction<int()> count = [n = 0]() mutable { return ++n; };
    CHECK(count() == 1);
    UniqueFunction<int()> moved = std::move(count);
    CHECK(moved() == 2);
}

TEST_CASE("UniqueFunction passes references and move-only arguments through") {
    UniqueFunction<void(int&)> increment = [](int& value) { ++value; };
    int value = 1;
    increment(value);
    CHECK(value == 2);

    UniqueFunction<int(std::unique_ptr<int>)> take = [](std::unique_ptr<int> p) { return *p; };
    CHECK(take(std::make_unique<int>(5)) == 5);

    UniqueFunction<int&()> give = [&value]() -> int& { return value; };
    give() = 9;
    CHECK(value == 9);
}

TEST_CASE("UniqueFunction<void> drops what the callable returns") {
    bool called = false;
    UniqueFunction<void()> function = [&called] {
        called = true;
        return 5;
    };
    function();
    CHECK(called);
}

TEST_CASE("UniqueFunction destroys a small and a large callable exactly once") {
    int alive = 0;
    {
        UniqueFunction<void()> small = [guard = Counted(alive)] {};
        UniqueFunction<void()> large = [guard = Counted(alive), bulk = std::array<char, 200>{}] {
            static_cast<void>(bulk);
        };
        CHECK(alive == 2);
        UniqueFunction<void()> moved_small = std::move(small);
        UniqueFunction<void()> moved_large = std::move(large);
        CHECK(alive == 2);
        moved_small = std::move(moved_large);
        CHECK(alive == 1);
        moved_small = nullptr;
        CHECK(alive == 0);
    }
    CHECK(alive == 0);
}

TEST_CASE("UniqueFunction stores a large callable with its alignment") {
    struct alignas(64) Wide {
        std::array<char, 128> bytes{};
    };

    UniqueFunction<bool()> function = [wide = Wide()] {
        return reinterpret_cast<std::uintptr_t>(&wide) % 64 == 0;
    };
    UniqueFunction<bool()> moved = std::move(function);
    CHECK(moved());
}

TEST_CASE("UniqueFunction made of nothing is empty, and calling it says so") {
    CHECK_FALSE(UniqueFunction<void()>());
    CHECK_FALSE(UniqueFunction<void()>(nullptr));
    CHECK_FALSE(UniqueFunction<int(int)>(static_cast<int (*)(int)>(nullptr)));
    CHECK_FALSE(UniqueFunction<void()>(std::function<void()>()));
    CHECK_FALSE(UniqueFunction<void()>(UniqueFunction<int()>()));

    UniqueFunction<void()> empty;
    CHECK_THROWS_AS(empty(), muster::RuntimeError);
}
