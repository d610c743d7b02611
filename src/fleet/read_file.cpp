#include "fleet/read_file.hpp"

#include <muster/core/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

namespace muster::fleet::detail {
namespace {

// What the system says of the last failure.
std::string reason() { return std::generic_category().message(errno); }

} // namespace

std::string read_file(const std::string& path) {
    if (std::filesystem::is_directory(path)) {
        throw ValueError("can't read " + path + ": it is a folder");
    }
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw ValueError("can't read " + path + ": " + reason());
    }
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (file.bad()) {
        throw ValueError("can't read " + path + ": " + reason());
    }
    return text;
}

std::string read_standard_input() {
    return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

std::string expand_home(const std::string& path) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in muster changes the environment
    const char* home = std::getenv("HOME");
    if (home != nullptr && path.starts_with("~/")) {
        return home + path.substr(1);
    }
    return path;
}

} // namespace muster::fleet::detail
