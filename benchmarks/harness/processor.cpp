#include "harness/processor.hpp"

#include <sched.h>
#include <unistd.h>

namespace bench {

void keep_to_one_cpu() noexcept {
    cpu_set_t all;
    CPU_ZERO(&all);
    ::sched_getaffinity(0, sizeof all, &all);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
        if (CPU_ISSET(cpu, &all)) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            ::sched_setaffinity(0, sizeof one, &one);
            return;
        }
    }
}

void run_before_others() noexcept {
    sched_param priority{};
    priority.sched_priority = 1;
    ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority);
}

void go_elsewhere() noexcept {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    ::sched_getaffinity(0, sizeof mine, &mine);
    cpu_set_t others;
    CPU_ZERO(&others);
    const long all = ::sysconf(_SC_NPROCESSORS_CONF);
    for (long cpu = 0; cpu < all; ++cpu) {
        if (!CPU_ISSET(cpu, &mine)) {
            CPU_SET(cpu, &others);
        }
    }
    ::sched_setaffinity(0, sizeof others, &others); // fails where there are none
}

} // namespace bench
