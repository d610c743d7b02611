#pragma once

#include <muster/core/concurrent_future.hpp>

#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::testing_support {

/// Collects what would go to stderr.
class Reports {
public:
    Reports()
        : previous_(muster::concurrent::set_error_handler(
              [this](std::string_view where, const std::exception_ptr& error) {
                  const std::lock_guard lock(mutex_);
                  try {
                      std::rethrow_exception(error);
                  } catch (const std::exception& exception) {
                      texts_.push_back(std::string(where) + ": " + exception.what());
                  }
              })) {}

    Reports(const Reports&) = delete;
    Reports& operator=(const Reports&) = delete;

    ~Reports() { muster::concurrent::set_error_handler(std::move(previous_)); }

    std::vector<std::string> texts() {
        const std::lock_guard lock(mutex_);
        return texts_;
    }

private:
    std::mutex mutex_;
    std::vector<std::string> texts_;
    muster::concurrent::ErrorHandler previous_;
};

} // namespace muster::testing_support
