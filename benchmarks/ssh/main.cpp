#include "ssh/workloads.hpp"

int main(int argc, char** argv) {
    using bench::Login;
    return bench::run_suite(
        argc, argv,
        {bench::session_cost(Login::password, 1), bench::session_cost(Login::password, 64),
         bench::session_cost(Login::password, 256), bench::session_cost(Login::key, 64),
         bench::session_storm(), bench::longest_step(false), bench::longest_step(true),
         bench::scaling(), bench::held_sessions(5000), bench::held_sessions(10'000)});
}
