#pragma once

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace muster::testing_support {

/// Collects what the process writes to standard error, while alive.
class StderrCapture {
public:
    StderrCapture() : file_(std::tmpfile()), saved_(::dup(STDERR_FILENO)) {
        std::fflush(stderr);
        ::dup2(::fileno(file_), STDERR_FILENO);
    }

    StderrCapture(const StderrCapture&) = delete;
    StderrCapture& operator=(const StderrCapture&) = delete;

    ~StderrCapture() {
        restore();
        std::fclose(file_);
    }

    /// Ends the capture; what was written.
    std::string text() {
        restore();
        std::rewind(file_);
        std::string result;
        std::array<char, 512> buffer{};
        while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file_)) {
            result.append(buffer.data(), count);
        }
        return result;
    }

private:
    void restore() noexcept {
        if (saved_ >= 0) {
            std::fflush(stderr);
            ::dup2(saved_, STDERR_FILENO);
            ::close(saved_);
            saved_ = -1;
        }
    }

    std::FILE* file_;
    int saved_;
};

} // namespace muster::testing_support
