#pragma once

#include <muster/core/secret.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace muster::ssh {

/// A user's private key, ready to sign: ed25519, ECDSA (nistp256, 384, 521) or RSA, read from
/// OpenSSH's own format or from PEM (PKCS#1, PKCS#8, SEC 1), encrypted or not. A cheap handle to an
/// immutable key: copies share it, and threads may use it at once.
class PrivateKey {
public:
    /// Reads a key from text. `name` stands for it in messages. Throws ssh::Error
    /// (ErrorKind::configuration) for a wrong or missing passphrase and for anything unreadable.
    /// Takes up to a second for an encrypted key: that is what protects it.
    static PrivateKey parse(const Secret& text, const Secret& passphrase = {},
                            const std::string& name = "the key in memory");

    /// Reads a key file, once per process and again only when the file has changed. Thread-safe.
    static PrivateKey load(const std::string& path, const Secret& passphrase = {});

    /// "ssh-ed25519", "ecdsa-sha2-nistp256", ..., "ssh-rsa".
    [[nodiscard]] const std::string& type() const noexcept;

    /// The public half in wire format.
    [[nodiscard]] const std::string& public_key() const noexcept;

    /// What the key was read from: a path, or the name given to `parse`.
    [[nodiscard]] const std::string& name() const noexcept;

    /// The signature blob over `data` (RFC 4253 section 6.6, without the leading name) under a
    /// signature algorithm: the key's type, or for RSA also "rsa-sha2-256" and "rsa-sha2-512".
    /// Throws ssh::Error for any other algorithm.
    [[nodiscard]] std::string sign(std::string_view algorithm, std::string_view data) const;

private:
    struct Impl;

    explicit PrivateKey(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}

    std::shared_ptr<const Impl> impl_;
};

} // namespace muster::ssh
