#include "ssh/plaintext.hpp"

#include "ssh/wire.hpp"

#include <algorithm>

namespace muster::ssh::detail {

namespace {

constexpr unsigned char message_newkeys = 21;
constexpr unsigned char message_kex_reply = 31;
constexpr unsigned char message_group_exchange_reply = 33;
constexpr std::size_t max_line = 1024;
constexpr std::size_t max_packet = 35'000;

} // namespace

std::size_t PlaintextFraming::available(std::string_view unread) {
    if (left_ > 0) {
        return std::min(left_, unread.size());
    }
    if (encrypted_) {
        return unread.size();
    }
    if (!identified_) {
        const auto end = unread.find('\n');
        if (end == std::string_view::npos) {
            // libssh2 is to see the nonsense that has no end, too; all of it, since it takes it
            // byte by byte.
            left_ = unread.size() > max_line ? unread.size() : 0;
            return left_;
        }
        identified_ = unread.starts_with("SSH-");
        left_ = end + 1;
        return left_;
    }
    WireReader header(unread);
    const std::size_t length = header.uint32();
    header.byte(); // length of the padding
    const unsigned char message = header.byte();
    if (!header.ok()) {
        return 0;
    }
    if (length > max_packet) {
        encrypted_ = true; // nonsense, which libssh2 refuses by itself
        return unread.size();
    }
    if (unread.size() < 4 + length) {
        return 0;
    }
    left_ = 4 + length;
    last_message_ = message;
    answered_ =
        answered_ || message == message_kex_reply || message == message_group_exchange_reply;
    return left_;
}

void PlaintextFraming::consumed(std::size_t count) noexcept {
    left_ -= std::min(left_, count);
    if (left_ == 0 && last_message_ == message_newkeys) {
        encrypted_ = true;
    }
}

bool PlaintextFraming::awaits_newkeys() const noexcept {
    return !encrypted_ &&
           (last_message_ == message_kex_reply || last_message_ == message_group_exchange_reply);
}

std::string_view PlaintextFraming::newkeys_packet() noexcept {
    // Length 12: ten bytes of padding and the message.
    return {"\x00\x00\x00\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0", 16};
}

} // namespace muster::ssh::detail
