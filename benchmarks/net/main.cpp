#include "net/workloads.hpp"

int main(int argc, char** argv) {
    return bench::run_suite(
        argc, argv, {bench::echo(1), bench::echo(100), bench::echo(1000), bench::echo_deadline()});
}
