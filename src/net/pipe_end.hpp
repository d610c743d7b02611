#pragma once

#include "net/descriptor.hpp"
#include "net/loop_guest.hpp"

#include <muster/core/coro.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace muster::detail {

/// This program's end of a pipe to a child. Closed with its loop.
class PipeEnd : private LoopGuest {
public:
    PipeEnd(LoopCore& core, Descriptor end);

    /// The next bytes; 0 at the end. Throws Error when closed.
    Coro<std::size_t> read_some(std::span<char> buffer);

    /// Writes what fits, at least one byte. Throws BrokenPipeError when the child reads no more.
    Coro<std::size_t> write_some(std::string_view data);

    void close() noexcept;

private:
    void on_loop_gone() noexcept override { close(); }

    [[nodiscard]] boost::asio::posix::stream_descriptor& open_end();

    std::optional<boost::asio::posix::stream_descriptor> end_;
};

} // namespace muster::detail
