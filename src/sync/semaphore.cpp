#include <muster/core/error.hpp>
#include <muster/sync/semaphore.hpp>

namespace muster {

Semaphore::Semaphore(std::ptrdiff_t value) : value_(value) {
    if (value < 0) {
        throw ValueError("Semaphore initial value must be >= 0");
    }
}

void BoundedSemaphore::release() {
    if (value() >= bound_) {
        throw ValueError("BoundedSemaphore released too many times");
    }
    Semaphore::release();
}

} // namespace muster
