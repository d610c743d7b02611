#include <muster/sync/detail/queue_base.hpp>

#include <algorithm>
#include <utility>

namespace muster::detail {

void QueueBase::task_done() {
    if (unfinished_ == 0) {
        throw ValueError("task_done() called too many times");
    }
    if (--unfinished_ == 0) {
        finished_.set();
    }
}

void QueueBase::begin_shutdown(bool immediate) {
    getters_.check_thread();
    putters_.check_thread();
    shut_down_ = true;
    if (immediate) {
        // task_done() may have been called for items that nobody has got.
        unfinished_ -= std::min(unfinished_, std::exchange(size_, 0));
        if (unfinished_ == 0) {
            finished_.set();
        }
    }
    getters_.grant_all();
    putters_.grant_all();
}

} // namespace muster::detail
