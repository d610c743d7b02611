// The same with an operation of Asio's: what muster/asio.hpp costs to compile.
#include <muster/asio.hpp>
#include <muster/muster.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

namespace {

muster::Coro<int> fetch(int number) {
    boost::asio::steady_timer timer(muster::get_running_loop().io_context(), 10ms);
    co_await timer.async_wait(muster::use_coro);
    co_return number;
}

muster::Coro<> hello() {
    const auto [one, two] = co_await muster::gather(fetch(1), fetch(2));
    std::printf("%d\n", one + two);
}

} // namespace

int main() { muster::run(hello()); }
