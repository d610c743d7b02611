#include <muster/core/error.hpp>
#include <muster/sync/semaphore.hpp>

namespace muster {

Semaphore::Semaphore(std::ptrdiff_t value) : value_(value) {
    if (value < 0) {
        throw ValueError("Semaphore initial value must be >= 0");
    }
}

void Semaphore::refuse_count() { throw ValueError("Semaphore release count must be >= 1"); }

void BoundedSemaphore::release(std::ptrdiff_t count) {
    if (count > bound_ - value()) {
        throw ValueError("BoundedSemaphore released too many times");
    }
    Semaphore::release(count);
}

} // namespace muster
