// Counts the words of files, several at once: threads and futures, without an event loop.
//
// Usage: thread-pool FILE...

#include <muster/core/concurrent_wait.hpp>
#include <muster/core/thread_pool.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

using namespace std::chrono_literals;
using muster::ReturnWhen;
using muster::concurrent::as_completed;
using muster::concurrent::Future;
using muster::concurrent::ThreadPoolExecutor;
using muster::concurrent::wait;

namespace {

std::ptrdiff_t count_words(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        throw std::runtime_error("cannot be read");
    }
    return std::distance(std::istream_iterator<std::string>(file),
                         std::istream_iterator<std::string>());
}

std::uintmax_t size_of(const std::string& path) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    return error ? 0 : size;
}

// One result after the other, in the order of the files.
void print_sizes(ThreadPoolExecutor& pool, const std::vector<std::string>& paths) {
    auto path = paths.begin();
    for (const std::uintmax_t size : pool.map(size_of, paths)) {
        std::cout << *path++ << ": " << size << " bytes\n";
    }
}

// Each result as soon as it is there; a file that fails spoils no other.
void print_words(ThreadPoolExecutor& pool, const std::vector<std::string>& paths) {
    std::vector<Future<std::ptrdiff_t>> futures;
    std::unordered_map<Future<std::ptrdiff_t>, std::string> path_of;
    for (const std::string& path : paths) {
        futures.push_back(pool.submit(count_words, path));
        path_of.emplace(futures.back(), path);
    }
    for (const auto& future : as_completed(futures)) {
        const std::string& path = path_of.at(future);
        try {
            const std::ptrdiff_t words = future.result();
            std::cout << path << ": " << words << " words\n";
        } catch (const std::exception& error) {
            std::cout << path << ": " << error.what() << '\n';
        }
    }
}

// All or nothing: no more work than needed after the first failure, and not for ever.
void print_total(ThreadPoolExecutor& pool, const std::vector<std::string>& paths) {
    std::vector<Future<std::ptrdiff_t>> futures;
    futures.reserve(paths.size());
    for (const std::string& path : paths) {
        futures.push_back(pool.submit(count_words, path));
    }
    const auto [done, not_done] =
        wait(futures, {.timeout = 10s, .return_when = ReturnWhen::first_exception});
    for (const auto& future : not_done) {
        future.cancel();
    }
    std::ptrdiff_t total = 0;
    bool complete = not_done.empty();
    for (const auto& future : done) {
        if (future.exception() != nullptr) {
            complete = false;
        } else {
            total += future.result();
        }
    }
    std::cout << "in all: " << (complete ? std::to_string(total) : "not known") << '\n';
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> paths(argv + 1, argv + argc);
    ThreadPoolExecutor pool(4, {.thread_name_prefix = "words"});
    print_sizes(pool, paths);
    print_words(pool, paths);
    print_total(pool, paths);
}
