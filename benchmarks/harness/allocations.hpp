#pragma once

#include <cstdint>

namespace bench {

/// The calls of operator new in this process up to now.
[[nodiscard]] std::uint64_t allocation_count() noexcept;

} // namespace bench
