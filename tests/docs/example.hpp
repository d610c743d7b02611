#pragma once
// What the C++ that tests/docs/blocks.py writes has in common.

#include <muster/muster.hpp>
#include <muster/testing.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace muster::docs {

inline constexpr int no_such_block = 2;

/// A page registers itself: `run` runs the block that begins at a line.
class Page {
public:
    Page(const char* name, int (*run)(int line));
};

inline int run_body(Coro<> body) {
    testing::run_virtual(std::move(body));
    return 0;
}

} // namespace muster::docs
