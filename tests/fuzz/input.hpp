#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// A fuzzer's bytes, taken off the front. Where there are no more, everything is zero or empty.
class FuzzInput {
public:
    FuzzInput(const std::uint8_t* data, std::size_t size)
        : rest_(reinterpret_cast<const char*>(data), size) {}

    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

    std::uint8_t byte() {
        const auto part = take(1);
        return part.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(part[0]);
    }

    /// As many bytes as the two in front say, or as there are.
    std::string_view text() {
        const std::size_t high = byte();
        return take(high * 256 + byte());
    }

    std::string_view take(std::size_t count) {
        const auto part = rest_.substr(0, count);
        rest_.remove_prefix(part.size());
        return part;
    }

    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
    std::string_view rest_;
};
