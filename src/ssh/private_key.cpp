#include "ssh/crypto.hpp"
#include "ssh/files.hpp"
#include "ssh/openssh_key.hpp"
#include "ssh/openssl_key.hpp"

#include <muster/ssh/error.hpp>
#include <muster/ssh/private_key.hpp>

#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace muster::ssh {

struct PrivateKey::Impl {
    detail::KeyHandle key;
    std::string type;
    std::string public_key;
    std::string name;
};

namespace {

[[noreturn]] void fail(const std::string& name, const std::string& what,
                       const std::string& remedy = {}) {
    Failure failure;
    failure.kind = ErrorKind::configuration;
    failure.reason = "cannot use " + name + ": " + what;
    failure.remedy = remedy;
    throw Error(std::move(failure));
}

} // namespace

PrivateKey PrivateKey::parse(const Secret& text, const Secret& passphrase,
                             const std::string& name) {
    auto impl = std::make_shared<Impl>();
    try {
        impl->key = detail::is_openssh_key(text.reveal())
                        ? detail::parse_openssh_key(text.reveal(), passphrase.reveal())
                        : detail::parse_pem_key(text.reveal(), passphrase.reveal());
        impl->public_key = detail::public_blob(*impl->key);
    } catch (const detail::KeyError& error) {
        fail(name, error.what(), error.remedy());
    }
    impl->type = detail::WireReader(impl->public_key).string();
    impl->name = name;
    return PrivateKey(std::move(impl));
}

PrivateKey PrivateKey::load(const std::string& path, const Secret& passphrase) {
    struct Cached {
        detail::FileStamp stamp;
        std::string passphrase_hash;
        std::shared_ptr<const Impl> key;
    };

    static std::mutex mutex;
    static std::map<std::string, Cached> cache;

    const detail::FileStamp stamp = detail::stamp_of(path);
    std::string passphrase_hash = detail::sha256(passphrase.reveal());
    // Held while the key is read, so that many connections that start together read it once.
    const std::lock_guard lock(mutex);
    Cached& cached = cache[path];
    if (!cached.key || cached.stamp != stamp || cached.passphrase_hash != passphrase_hash) {
        std::optional<std::string> text;
        try {
            text = detail::read_file(path);
        } catch (const Error& error) {
            Failure failure;
            failure.kind = error.kind();
            failure.reason = error.reason();
            failure.remedy = "is it a file, and may this user read it?";
            throw Error(std::move(failure));
        }
        if (!text) {
            fail(path, "no such file", "make a key with ssh-keygen, or name another file");
        }
        const Secret secret(std::move(*text));
        cached.key = parse(secret, passphrase, path).impl_;
        cached.stamp = stamp;
        cached.passphrase_hash = std::move(passphrase_hash);
    }
    return PrivateKey(cached.key);
}

const std::string& PrivateKey::type() const noexcept { return impl_->type; }

const std::string& PrivateKey::public_key() const noexcept { return impl_->public_key; }

const std::string& PrivateKey::name() const noexcept { return impl_->name; }

std::string PrivateKey::sign(std::string_view algorithm, std::string_view data) const {
    try {
        return detail::sign(*impl_->key, algorithm, data);
    } catch (const detail::KeyError& error) {
        fail(impl_->name, error.what(), error.remedy());
    }
}

} // namespace muster::ssh
