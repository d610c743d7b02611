#pragma once
/// Reading and writing the data types of the SSH protocol (RFC 4251 section 5).

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::ssh::detail {

/// Takes values off the front of a buffer. After the first value that is not there, everything is
/// zero or empty and `ok()` is false, so that a message is checked once, at its end.
class WireReader {
public:
    explicit WireReader(std::string_view bytes) noexcept : rest_(bytes) {}

    std::uint8_t byte() noexcept {
        const auto part = take(1);
        return part.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(part[0]);
    }

    std::uint32_t uint32() noexcept {
        std::uint32_t value = 0;
        for (const char c : take(4)) {
            value = (value << 8U) | static_cast<unsigned char>(c);
        }
        return value;
    }

    std::string_view string() noexcept {
        const std::uint32_t length = uint32();
        return take(length);
    }

    std::string_view take(std::size_t length) noexcept {
        if (!ok_ || length > rest_.size()) {
            ok_ = false;
            return {};
        }
        const auto part = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return part;
    }

    [[nodiscard]] bool ok() const noexcept { return ok_; }

    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
    std::string_view rest_;
    bool ok_ = true;
};

inline void append_uint32(std::string& out, std::uint32_t value) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        out += static_cast<char>((value >> shift) & 0xFFU);
    }
}

inline void append_string(std::string& out, std::string_view bytes) {
    append_uint32(out, static_cast<std::uint32_t>(bytes.size()));
    out += bytes;
}

/// An unsigned number in big-endian bytes, as an mpint: no leading zeros, but one where the first
/// bit is set.
inline void append_mpint(std::string& out, std::string_view bytes) {
    while (!bytes.empty() && bytes.front() == '\0') {
        bytes.remove_prefix(1);
    }
    const bool sign_bit =
        !bytes.empty() && (static_cast<unsigned char>(bytes.front()) & 0x80U) != 0;
    append_uint32(out, static_cast<std::uint32_t>(bytes.size() + (sign_bit ? 1 : 0)));
    if (sign_bit) {
        out += '\0';
    }
    out += bytes;
}

} // namespace muster::ssh::detail
