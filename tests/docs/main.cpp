// Runs one block of a page: <program> PAGE LINE. The exit status is the block's own.

#include "example.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>

namespace {

std::map<std::string, int (*)(int)>& pages() {
    static std::map<std::string, int (*)(int)> all;
    return all;
}

} // namespace

muster::docs::Page::Page(const char* name, int (*run)(int)) { pages().emplace(name, run); }

int main(int argc, char** argv) {
    if (argc != 3 || !pages().contains(argv[1])) {
        return muster::docs::no_such_block;
    }
    try {
        return pages().at(argv[1])(std::atoi(argv[2]));
    } catch (const std::exception& error) {
        std::cerr << "the block throws: " << error.what() << '\n';
    } catch (const muster::CancelledError&) {
        std::cerr << "the block throws CancelledError\n";
    }
    return 1;
}
