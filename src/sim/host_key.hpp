#pragma once
// SSH host keys, and the public keys users may log in with.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct ssh_key_struct;
struct ssh_bind_struct;

namespace muster::sim {

/// An ed25519 key pair with the libssh "bind" that serves it: libssh gives every accepted
/// connection the keys of its bind.
class HostKey {
public:
    /// A new key.
    static HostKey generate();

    /// The key in `file`, which is made if it does not exist.
    static HostKey load_or_create(const std::filesystem::path& file);

    /// `ssh-ed25519 AAAA...`
    [[nodiscard]] std::string public_line() const;

    /// `SHA256:...`
    [[nodiscard]] std::string fingerprint() const;

    [[nodiscard]] ssh_bind_struct* bind() const { return bind_.get(); }

private:
    explicit HostKey(ssh_key_struct* key);

    struct Free {
        void operator()(ssh_key_struct* key) const;
        void operator()(ssh_bind_struct* bind) const;
    };

    std::unique_ptr<ssh_key_struct, Free> key_;
    std::unique_ptr<ssh_bind_struct, Free> bind_;
};

/// The keys an authorized_keys file would list.
class AuthorizedKeys {
public:
    /// Throws ValueError, naming the line, for one that holds no key.
    explicit AuthorizedKeys(const std::vector<std::string>& lines);

    [[nodiscard]] bool contains(ssh_key_struct* key) const;

private:
    std::vector<std::shared_ptr<ssh_key_struct>> keys_;
};

} // namespace muster::sim
