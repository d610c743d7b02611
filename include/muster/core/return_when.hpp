#pragma once

namespace muster {

/// When `wait` and `concurrent::wait` return (FIRST_COMPLETED and its kin in Python).
enum class ReturnWhen {
    first_completed, ///< one is done or cancelled
    first_exception, ///< one failed (a cancelled one does not count), or all are done
    all_completed,   ///< all are done or cancelled
};

} // namespace muster
