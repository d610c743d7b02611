#include <muster/muster.hpp>

#include <chrono>
#include <iostream>

namespace {

muster::Coro<int> square(int number) {
    co_await muster::async_sleep(std::chrono::milliseconds(1));
    co_return number* number;
}

muster::Coro<> report() {
    const auto squares = co_await muster::gather(square(3), square(4));
    const auto& [three, four] = squares;
    std::cout << "3 * 3 + 4 * 4 = " << three + four << '\n';
}

} // namespace

int main() { muster::run(report()); }
