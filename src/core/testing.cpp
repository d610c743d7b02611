#include "event_loop_impl.hpp"

#include <muster/testing.hpp>

namespace muster {

struct VirtualLoop {
    static std::unique_ptr<EventLoop> make() {
        auto loop = std::make_unique<EventLoop>();
        loop->impl_->virtual_time = Clock::time_point(std::chrono::hours(1));
        return loop;
    }
};

namespace testing {

std::unique_ptr<EventLoop> make_virtual_loop() { return VirtualLoop::make(); }

} // namespace testing
} // namespace muster
