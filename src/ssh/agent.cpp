#include "ssh/agent.hpp"

#include "ssh/one_line.hpp"
#include "ssh/wire.hpp"

#include <muster/core/error.hpp>
#include <muster/core/timeout.hpp>
#include <muster/net/open_connection.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::ssh::detail {

namespace {

constexpr unsigned char message_failure = 5;
constexpr unsigned char message_request_identities = 11;
constexpr unsigned char message_identities_answer = 12;
constexpr unsigned char message_sign_request = 13;
constexpr unsigned char message_sign_response = 14;

constexpr std::uint32_t flag_rsa_sha2_256 = 2;
constexpr std::uint32_t flag_rsa_sha2_512 = 4;

// What OpenSSH's programs take from an agent.
constexpr std::uint32_t longest_answer = 256 * 1024;
constexpr std::uint32_t most_keys = 2048;

constexpr std::size_t longest_words = 80;

std::uint32_t flags_for(std::string_view algorithm) {
    if (algorithm == "rsa-sha2-256") {
        return flag_rsa_sha2_256;
    }
    return algorithm == "rsa-sha2-512" ? flag_rsa_sha2_512 : 0;
}

} // namespace

AgentError Agent::error(const std::string& what) const {
    return AgentError("the SSH agent at " + path_ + " " + what);
}

Coro<std::string> Agent::exchange(std::string request) const {
    OpenOptions options;
    options.timeout = std::nullopt; // ask() has one
    Stream stream = co_await open_unix_connection(path_, std::move(options));
    std::string message;
    append_string(message, request);
    stream.write(message);
    const std::string head = co_await stream.readexactly(sizeof(std::uint32_t));
    const std::uint32_t length = WireReader(head).uint32();
    if (length == 0 || length > longest_answer) {
        throw error("answers with nonsense: a message of " + std::to_string(length) + " bytes");
    }
    co_return co_await stream.readexactly(length);
}

Coro<std::string> Agent::ask(std::string request) const {
    try {
        co_return co_await timeout(limit_, [&] { return exchange(request); });
    } catch (const TimeoutError&) {
        throw error("has not answered in time (Timeouts::agent)");
    } catch (const IncompleteReadError&) {
        throw error("hung up instead of an answer");
    } catch (const muster::Error& failed) {
        throw error("cannot be used: " + std::string(failed.what()));
    }
}

Coro<std::vector<AgentKey>> Agent::keys() const {
    const std::string answer = co_await ask(std::string(1, message_request_identities));
    WireReader reader(answer);
    const unsigned char kind = reader.byte();
    if (kind == message_failure) {
        throw error("refuses to list its keys");
    }
    const std::uint32_t count = reader.uint32();
    if (kind != message_identities_answer || !reader.ok() || count > most_keys) {
        throw error("answers with nonsense when it is to list its keys");
    }
    std::vector<AgentKey> keys;
    for (std::uint32_t i = 0; i < count; ++i) {
        AgentKey key;
        key.public_key = reader.string();
        key.comment = one_line(reader.string(), longest_words);
        keys.push_back(std::move(key));
    }
    if (!reader.ok()) {
        throw error("answers with nonsense when it is to list its keys");
    }
    co_return keys;
}

Coro<std::string> Agent::sign(std::string public_key, std::string algorithm,
                              std::string data) const {
    std::string request(1, message_sign_request);
    append_string(request, public_key);
    append_string(request, data);
    append_uint32(request, flags_for(algorithm));
    const std::string answer = co_await ask(std::move(request));
    WireReader reader(answer);
    const unsigned char kind = reader.byte();
    if (kind == message_failure) {
        throw error("refuses to sign: it is locked, has lost the key, or its user said no");
    }
    WireReader signature(reader.string());
    const std::string_view made_with = signature.string();
    const std::string_view blob = signature.string();
    if (kind != message_sign_response || !reader.ok() || !signature.ok() || blob.empty()) {
        throw error("answers with nonsense when it is to sign");
    }
    if (made_with != algorithm) {
        throw error("signs with " + one_line(made_with, longest_words) + ", asked for " +
                    algorithm);
    }
    co_return std::string(blob);
}

} // namespace muster::ssh::detail
