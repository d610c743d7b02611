#include "core/workloads.hpp"

int main(int argc, char** argv) {
    return bench::run_suite(argc, argv,
                            {bench::spawn(), bench::yield(), bench::child(), bench::sleepers(),
                             bench::timeout_ready(), bench::timeout_yield(), bench::queue(1),
                             bench::queue(64), bench::semaphore(), bench::lock(),
                             bench::executor_one(), bench::executor_many(), bench::idle()});
}
