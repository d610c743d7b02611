#pragma once
/// What the contenders on plain Asio share.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <utility>

namespace bench {

namespace asio = boost::asio;

/// Throws what a coroutine has thrown, out of io_context::run().
inline void rethrow(const std::exception_ptr& error) {
    if (error != nullptr) {
        std::rethrow_exception(error);
    }
}

/// Runs `main` to its end on an io_context of one thread.
inline void run_awaitable(asio::io_context& context, asio::awaitable<void> main) {
    asio::co_spawn(context, std::move(main), rethrow);
    context.run();
    context.restart();
}

} // namespace bench
