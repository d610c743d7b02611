#include "ssh/methods.hpp"

#include <algorithm>
#include <initializer_list>

namespace muster::ssh::detail {

Methods default_methods() {
    Methods methods;
    methods.kex = {"curve25519-sha256",  "curve25519-sha256@libssh.org",
                   "ecdh-sha2-nistp256", "ecdh-sha2-nistp521",
                   "ecdh-sha2-nistp384", "diffie-hellman-group14-sha256"};
    methods.host_key = {"ssh-ed25519",         "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                        "ecdsa-sha2-nistp521", "rsa-sha2-512",        "rsa-sha2-256"};
    // Counter mode with a separate MAC first: every libssh2 has it, and its code for the
    // authenticated modes and encrypt-then-MAC has had memory faults that distributions fix late.
    methods.ciphers = {"aes128-ctr",
                       "aes256-ctr",
                       "aes192-ctr",
                       "aes128-gcm@openssh.com",
                       "aes256-gcm@openssh.com",
                       "chacha20-poly1305@openssh.com"};
    methods.macs = {"hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com",
                    "hmac-sha2-512-etm@openssh.com", "hmac-sha1"};
    return methods;
}

Methods legacy_methods() {
    Methods methods = default_methods();
    const auto add = [](std::vector<std::string_view>& list,
                        std::initializer_list<const char*> names) {
        list.insert(list.end(), names.begin(), names.end());
    };
    add(methods.kex, {"diffie-hellman-group16-sha512", "diffie-hellman-group-exchange-sha256",
                      "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1",
                      "diffie-hellman-group1-sha1", "diffie-hellman-group18-sha512"});
    add(methods.host_key, {"ssh-rsa", "ssh-dss"});
    add(methods.ciphers, {"aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"});
    add(methods.macs, {"hmac-sha1-96", "hmac-md5", "hmac-md5-96"});
    return methods;
}

void prefer_key_types(std::vector<std::string_view>& host_key,
                      const std::vector<std::string>& types) {
    auto place = host_key.begin();
    for (auto it = place; it != host_key.end(); ++it) {
        // One RSA key serves three algorithms.
        const std::string_view type = it->starts_with("rsa-sha2-") ? "ssh-rsa" : *it;
        if (std::find(types.begin(), types.end(), type) != types.end()) {
            std::rotate(place++, it, it + 1);
        }
    }
}

} // namespace muster::ssh::detail
