#pragma once

namespace muster::testing_support {

/// How many of doctest's checks were false up to now, in all tests together.
unsigned failed_checks() noexcept;

} // namespace muster::testing_support
