#include <muster/core/error.hpp>
#include <muster/sync/lock.hpp>

namespace muster {

void Lock::release() {
    waiters_.check_thread();
    if (!locked_) {
        throw RuntimeError("Lock is not acquired.");
    }
    release_held();
}

} // namespace muster
