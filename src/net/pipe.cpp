#include "net/pipe.hpp"

#include <muster/core/error.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace muster::detail {

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw Error("cannot make a pipe: " + std::generic_category().message(errno));
    }
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

} // namespace muster::detail
