#pragma once

#include "net/descriptor.hpp"

namespace muster::detail {

struct Pipe {
    Descriptor read_end;
    Descriptor write_end;
};

/// Both ends are closed in children. Throws Error when the system has no descriptors left.
[[nodiscard]] Pipe make_pipe();

} // namespace muster::detail
