#include "host_key.hpp"

#include <muster/core/error.hpp>

#include <libssh/libssh.h>
#include <libssh/server.h>

#include <algorithm>
#include <cstddef>
#include <sstream>

namespace muster::sim {

namespace {

// The name in the version line: clients know it as a router's.
constexpr const char* server_name = "Cisco-1.25";

} // namespace

void HostKey::Free::operator()(ssh_key_struct* key) const { ssh_key_free(key); }

void HostKey::Free::operator()(ssh_bind_struct* bind) const { ssh_bind_free(bind); }

HostKey::HostKey(ssh_key_struct* key) : key_(key), bind_(ssh_bind_new()) {
    const bool no_config = false;
    auto* for_bind = ssh_key_dup(key); // the bind frees it
    const bool made =
        bind_ && for_bind != nullptr &&
        ssh_bind_options_set(bind_.get(), SSH_BIND_OPTIONS_PROCESS_CONFIG, &no_config) == SSH_OK &&
        ssh_bind_options_set(bind_.get(), SSH_BIND_OPTIONS_IMPORT_KEY, for_bind) == SSH_OK &&
        ssh_bind_options_set(bind_.get(), SSH_BIND_OPTIONS_BANNER, server_name) == SSH_OK;
    if (!made) {
        throw Error("virtual fleet: libssh can't serve the host key");
    }
}

HostKey HostKey::generate() {
    ssh_key key = nullptr;
    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK) {
        throw Error("virtual fleet: libssh can't generate an ed25519 host key");
    }
    return HostKey(key);
}

HostKey HostKey::load_or_create(const std::filesystem::path& file) {
    if (!std::filesystem::exists(file)) {
        auto made = generate();
        if (ssh_pki_export_privkey_file(made.key_.get(), nullptr, nullptr, nullptr, file.c_str()) !=
            SSH_OK) {
            throw Error("virtual fleet: can't write the host key file " + file.string() +
                        "; is its folder writable?");
        }
        std::filesystem::permissions(file, std::filesystem::perms::owner_read |
                                               std::filesystem::perms::owner_write);
        return made;
    }
    ssh_key key = nullptr;
    if (ssh_pki_import_privkey_file(file.c_str(), nullptr, nullptr, nullptr, &key) != SSH_OK ||
        ssh_key_type(key) != SSH_KEYTYPE_ED25519) {
        ssh_key_free(key);
        throw Error("virtual fleet: " + file.string() +
                    " is not an ed25519 private key without passphrase; make one with: "
                    "ssh-keygen -t ed25519 -N '' -f " +
                    file.string());
    }
    return HostKey(key);
}

std::string HostKey::public_line() const {
    char* base64 = nullptr;
    if (ssh_pki_export_pubkey_base64(key_.get(), &base64) != SSH_OK) {
        throw Error("virtual fleet: libssh can't export the host key");
    }
    std::string line = std::string(ssh_key_type_to_char(ssh_key_type(key_.get()))) + " " + base64;
    ssh_string_free_char(base64);
    return line;
}

std::string HostKey::fingerprint() const {
    unsigned char* hash = nullptr;
    std::size_t size = 0;
    if (ssh_get_publickey_hash(key_.get(), SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != SSH_OK) {
        throw Error("virtual fleet: libssh can't hash the host key");
    }
    char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    std::string result = text;
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
    return result;
}

AuthorizedKeys::AuthorizedKeys(const std::vector<std::string>& lines) {
    for (const auto& line : lines) {
        std::istringstream words(line);
        std::string type;
        std::string base64;
        words >> type >> base64;
        ssh_key key = nullptr;
        if (ssh_pki_import_pubkey_base64(base64.c_str(), ssh_key_type_from_name(type.c_str()),
                                         &key) != SSH_OK) {
            throw ValueError("virtual fleet: not an OpenSSH public key line: \"" + line + "\"");
        }
        keys_.emplace_back(key, ssh_key_free);
    }
}

bool AuthorizedKeys::contains(ssh_key_struct* key) const {
    return std::ranges::any_of(keys_, [&](const auto& known) {
        return ssh_key_cmp(known.get(), key, SSH_KEY_CMP_PUBLIC) == 0;
    });
}

} // namespace muster::sim
