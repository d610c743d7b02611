#pragma once
/// libssh2's process-wide side: initialisation, memory, and the descriptor it is given.

#include <libssh2.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh::detail {

/// Initialises libssh2 and OpenSSL, once per process, before the first session. Thread-safe;
/// throws ssh::Error when the library refuses or is older than 1.10.
void initialise_library();

/// A descriptor for libssh2_session_handshake: /dev/null, non-blocking. libssh2 asks for one, but
/// with callbacks for all input and output it only looks at its flags.
int idle_descriptor();

/// The version of the libssh2 that is loaded, which may be newer than the headers: "1.11.1".
const std::string& library_version();

/// What a session belongs to: libssh2's abstract pointer. It holds the session's memory, which is
/// overwritten before it is freed, since passwords and keys pass through it. What libssh2 forgets
/// to free (a host key for each rekey, a packet that was half received) goes with the owner.
class SessionOwner {
public:
    SessionOwner() = default;
    SessionOwner(const SessionOwner&) = delete;
    SessionOwner& operator=(const SessionOwner&) = delete;

    /// Shows memory just before libssh2 frees it: decrypted packets of the server among it.
    virtual void before_free(std::string_view bytes) noexcept = 0;

    /// Memory that libssh2 will free; null when there is none, or for more than any packet needs.
    void* allocate(std::size_t size) noexcept;
    void release(void* pointer) noexcept;
    void* reallocate(void* pointer, std::size_t size) noexcept;

protected:
    ~SessionOwner();

    /// Whether to give libssh2 memory of this size; what it does about a refusal is end the call.
    virtual bool may_allocate(std::size_t size) noexcept = 0;

    /// Among the memory is a message of this kind that begins with a string of this length, and is
    /// too short to hold it.
    [[nodiscard]] bool holds_false_length(unsigned char kind, std::size_t length) const noexcept;

    /// Among the memory is an answer to a key exchange (RFC 4253 section 8) whose host key has this
    /// length, and is an Ed25519 key that is not as RFC 8709 section 4 says.
    [[nodiscard]] bool holds_false_host_key(std::size_t length) const noexcept;

    /// How many pieces of memory libssh2 holds.
    [[nodiscard]] std::size_t blocks() const noexcept { return blocks_; }

private:
    struct Block;

    Block* first_ = nullptr;
    std::size_t blocks_ = 0;
};

/// Creates a non-blocking session. The owner must outlive it.
LIBSSH2_SESSION* new_session(SessionOwner& owner);

/// The algorithms that this libssh2 has, of one LIBSSH2_METHOD_... kind. Asked for once per
/// process.
const std::vector<std::string_view>& supported_algorithms(int kind);

/// As libssh2 takes lengths.
inline unsigned length_of(std::string_view text) noexcept {
    return static_cast<unsigned>(text.size());
}

} // namespace muster::ssh::detail
