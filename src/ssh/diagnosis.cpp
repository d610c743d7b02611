// What went wrong, in words that help.

#include "ssh/methods.hpp"
#include "ssh/session.hpp"

#include <string>
#include <utility>

namespace muster::ssh::detail {

namespace {

std::string quoted(const std::string& text) { return "'" + text + "'"; }

KexInit as_offer(const Methods& methods) {
    using Names = std::vector<std::string>;
    const Names ciphers(methods.ciphers.begin(), methods.ciphers.end());
    const Names macs(methods.macs.begin(), methods.macs.end());
    return {Names(methods.kex.begin(), methods.kex.end()),
            Names(methods.host_key.begin(), methods.host_key.end()),
            ciphers,
            ciphers,
            macs,
            macs};
}

/// How far the other side got before it fell silent or went away.
std::string progress_of(const Engine& engine) {
    const KexInitReader& server = engine.server_side();
    if (engine.encrypted()) {
        return "after the key exchange";
    }
    if (server.identification().empty()) {
        const std::string garbage = server.garbage();
        return garbage.empty() ? "before it identified itself as an SSH server"
                               : "after sending " + quoted(garbage) +
                                     ", which is not the greeting of an SSH server";
    }
    return "after identifying itself as " + quoted(server.identification());
}

} // namespace

std::string silence(const Engine& engine) {
    return "the device fell silent " + progress_of(engine);
}

Error Session::explain(Phase phase, int code) const {
    if (phase == Phase::key_exchange && engine_->encrypted()) {
        phase = Phase::authentication; // libssh2's handshake ends with the first message of it
    }
    if (!engine_->disconnect_message().empty()) {
        return error(phase, ErrorKind::connection_lost,
                     "the device ended the connection: " + quoted(engine_->disconnect_message()));
    }
    if (code == error_connection_lost) {
        std::string reason = engine_->failure_reason();
        std::string remedy;
        if (phase == Phase::key_exchange) {
            reason += " " + progress_of(*engine_);
            if (engine_->server_side().identification().empty()) {
                remedy = engine_->server_side().garbage().empty()
                             ? "it may limit the number of sessions or the addresses they come from"
                             : "is this the port of its SSH server?";
            }
        }
        return error(phase, ErrorKind::connection_lost, std::move(reason), std::move(remedy));
    }
    if (code == error_abandoned) {
        return error(phase, ErrorKind::closed, engine_->failure_reason());
    }

    const auto ours = engine_->client_side().message();
    const auto theirs = engine_->server_side().message();
    if (phase == Phase::key_exchange && ours && theirs) {
        std::string mismatch = explain_mismatch(*ours, *theirs);
        if (!mismatch.empty()) {
            const KexInit legacy = as_offer(engine_->usable(legacy_methods()));
            std::string remedy =
                explain_mismatch(legacy, *theirs).empty()
                    ? "connect with .algorithms = ssh::Algorithms::legacy, or update the device"
                    : "libssh2 " + library_version() + " has nothing that the device accepts";
            return error(phase, ErrorKind::no_common_method, std::move(mismatch),
                         std::move(remedy));
        }
    }
    if (phase == Phase::key_exchange && engine_->server_side().is_nonsense()) {
        return error(phase, ErrorKind::protocol, "gave up " + progress_of(*engine_),
                     "is this the port of its SSH server?");
    }
    if (phase == Phase::key_exchange && engine_->server_side().is_version_1()) {
        return error(phase, ErrorKind::protocol,
                     "the device speaks version 1 of SSH only: it identifies itself as " +
                         quoted(engine_->server_side().identification()),
                     "switch version 2 on there; version 1 can be broken by anyone on the way");
    }
    if (!engine_->offence().empty()) {
        return error(phase, ErrorKind::protocol,
                     "the device sends " + std::string(engine_->offence()));
    }
    if (phase == Phase::key_exchange && code == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE) {
        return error(phase, ErrorKind::protocol,
                     "the device's proof of its host key does not hold, or its answer is damaged",
                     "something on the way may be changing what passes");
    }
    std::string reason = engine_->failure() == code ? engine_->failure_reason() : std::string();
    if (reason.empty()) {
        reason = engine_->last_words();
    }
    const bool refused = code == LIBSSH2_ERROR_CHANNEL_FAILURE ||
                         code == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED ||
                         code == LIBSSH2_ERROR_REQUEST_DENIED;
    if (code == LIBSSH2_ERROR_CHANNEL_CLOSED || code == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
        return error(phase, ErrorKind::closed, "the device has closed the channel");
    }
    return error(phase, refused ? ErrorKind::request_refused : ErrorKind::protocol,
                 reason + " (libssh2 error " + std::to_string(code) + ")");
}

} // namespace muster::ssh::detail
