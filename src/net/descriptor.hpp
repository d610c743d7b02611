#pragma once

#include <unistd.h>

#include <utility>

namespace muster::detail {

/// Owns a file descriptor.
class Descriptor {
public:
    Descriptor() noexcept = default;

    explicit Descriptor(int fd) noexcept : fd_(fd) {}

    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            close();
            fd_ = other.release();
        }
        return *this;
    }

    ~Descriptor() { close(); }

    /// Negative when there is none.
    [[nodiscard]] int get() const noexcept { return fd_; }

    [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }

    /// Gives it up without closing it.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    void close() noexcept {
        if (valid()) {
            ::close(release());
        }
    }

private:
    int fd_ = -1;
};

} // namespace muster::detail
