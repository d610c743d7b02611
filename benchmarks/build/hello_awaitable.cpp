// The same on plain Asio, which ends on Ctrl-C as muster's does.
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

asio::awaitable<int> fetch(int number) {
    asio::steady_timer timer(co_await asio::this_coro::executor, 10ms);
    co_await timer.async_wait(asio::use_awaitable);
    co_return number;
}

asio::awaitable<void> hello() {
    const auto [one, two] = co_await (fetch(1) && fetch(2));
    std::printf("%d\n", one + two);
}

} // namespace

int main() {
    asio::io_context context(1);
    asio::signal_set signals(context, SIGINT);
    signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
    asio::co_spawn(context, hello(), [&](const std::exception_ptr& error) {
        signals.cancel();
        if (error != nullptr) {
            std::rethrow_exception(error);
        }
    });
    context.run();
}
