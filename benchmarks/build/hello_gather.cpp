// What a first program costs to compile, and to carry about.
#include <muster/muster.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

namespace {

muster::Coro<int> fetch(int number) {
    co_await muster::async_sleep(10ms);
    co_return number;
}

muster::Coro<> hello() {
    const auto [one, two] = co_await muster::gather(fetch(1), fetch(2));
    std::printf("%d\n", one + two);
}

} // namespace

int main() { muster::run(hello()); }
