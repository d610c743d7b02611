#pragma once

#include <muster/core/coro.hpp>

namespace muster {

/// Waits until `fd` can be read without waiting, or has ended or failed (loop.add_reader:
/// cancelling it is remove_reader). For sockets, pipes and devices; its flags are left as they are.
/// It must stay open meanwhile. Throws Error for descriptors that can't be waited for: closed ones,
/// files.
Coro<void> readable(int fd);

/// The same for writing (loop.add_writer).
Coro<void> writable(int fd);

} // namespace muster
