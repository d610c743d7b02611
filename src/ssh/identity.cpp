#include "ssh/identity.hpp"

#include "ssh/crypto.hpp"
#include "ssh/files.hpp"
#include "ssh/openssh_key.hpp"

#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace muster::ssh::detail {

namespace {

/// The key in the text of a public key file: "ssh-ed25519 AAAA... comment".
std::optional<std::string> read_public_key(std::string_view text) {
    const auto blank = std::min(text.find(' '), text.size());
    const std::string_view type = text.substr(0, blank);
    text.remove_prefix(std::min(blank + 1, text.size()));
    auto blob = base64_decode(text.substr(0, text.find_first_of(" \t\r\n")));
    if (!blob || type.empty() || key_type(*blob) != type) {
        return std::nullopt;
    }
    return blob;
}

/// The public half of a key that only the agent can sign with.
std::optional<std::string> public_half(const KeySource& source, const std::string& path) {
    try {
        const Secret text =
            source.text.empty() ? Secret(read_file(path).value_or(std::string())) : source.text;
        if (auto blob = read_public_key(text.reveal())) {
            return blob;
        }
        return source.passphrase.empty() ? encrypted_public_half(text.reveal()) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt; // what cannot be read holds none
    }
}

} // namespace

std::optional<std::string> agent_path(const Options& options) {
    if (options.agent) {
        return options.agent->empty() ? std::nullopt : options.agent;
    }
    const char* variable = std::getenv("SSH_AUTH_SOCK"); // NOLINT(concurrency-mt-unsafe)
    if (variable == nullptr || *variable == '\0') {
        return std::nullopt;
    }
    return variable;
}

Identity read_identity(const KeySource& source, bool has_agent) {
    const std::string path = expand_home(source.path);
    const std::string name = source.text.empty() ? path : "in memory";
    try {
        PrivateKey key = source.text.empty() ? PrivateKey::load(path, source.passphrase)
                                             : PrivateKey::parse(source.text, source.passphrase);
        std::string public_key = key.public_key();
        return {name, std::move(public_key), std::move(key)};
    } catch (const Error&) {
        if (has_agent) {
            if (auto blob = public_half(source, path)) {
                return {name, std::move(*blob), std::nullopt};
            }
        }
        throw;
    }
}

} // namespace muster::ssh::detail
