#include "ssh/files.hpp"
#include "ssh/login.hpp"

#include <muster/core/run_in_executor.hpp>
#include <muster/ssh/known_hosts.hpp>

#include <string>
#include <utility>

namespace muster::ssh::detail {

namespace {

std::string place(const HostKeyVerdict& verdict) {
    return verdict.file + ":" + std::to_string(verdict.line);
}

/// The same with the host in front: files know nothing of hosts.
Error with_host(const Error& error, const Session& session) {
    return session.error(Phase::host_key, error.kind(), error.reason(), error.remedy());
}

} // namespace

TrustedBy::TrustedBy(const Options& options)
    : files(options.known_hosts), host(options.host), port(options.port) {
    if (files.empty()) {
        files = default_known_hosts_files();
    }
    for (std::string& file : files) {
        file = expand_home(file);
    }
    if (!options.host_key_alias.empty()) {
        host = options.host_key_alias;
        port = 22; // an alias stands alone in the file
    }
    known = &KnownHostsFiles::of(files);
}

Coro<void> check_host_key(Session& session, const Options& options,
                          const std::optional<TrustedBy>& trusted) {
    const std::string key = session.engine().host_key();
    if (!trusted) {
        session.host_key_fingerprint = fingerprint(key);
        co_return;
    }
    HostKeyVerdict verdict;
    try {
        verdict = trusted->known->check(trusted->host, trusted->port, key);
    } catch (const Error& error) {
        throw with_host(error, session);
    }
    session.host_key_fingerprint = verdict.fingerprint;
    if (verdict.status == HostKeyStatus::unknown &&
        options.host_key_policy == HostKeyPolicy::accept_new) {
        try {
            // In the executor, because others may hold the file's lock.
            verdict = co_await run_in_executor(accept_new_host_key, trusted->files, trusted->host,
                                               trusted->port, key);
        } catch (const Error& error) {
            throw with_host(error, session);
        }
        if (verdict.status == HostKeyStatus::unknown) {
            co_return; // added
        }
    }
    const std::string presented = verdict.type + " key " + verdict.fingerprint;
    switch (verdict.status) {
    case HostKeyStatus::match:
        co_return;
    case HostKeyStatus::revoked:
        throw session.error(Phase::host_key, ErrorKind::host_key_revoked,
                            "the device presents the " + presented + ", which is revoked in " +
                                place(verdict),
                            "do not connect: this key may be in the hands of others");
    case HostKeyStatus::changed:
        throw session.error(Phase::host_key, ErrorKind::host_key_changed,
                            "the host key has changed: the device presents the " + presented +
                                ", but " + place(verdict) + " has the " + verdict.known_type +
                                " key " + verdict.known_fingerprint,
                            "somebody may be listening in; if the device was replaced, verify the "
                            "new fingerprint and remove the line");
    case HostKeyStatus::unknown:
        break;
    }
    std::string reason = "the host key is not known: the device presents the " + presented;
    if (verdict.has_authority) {
        reason += "; the @cert-authority line for this host is not supported";
    }
    std::string remedy = "verify the fingerprint, then: ssh-keyscan ";
    if (options.port != 22) {
        remedy += "-p " + std::to_string(options.port) + " ";
    }
    remedy += options.host + " >> " + trusted->files.front() + "; or accept new keys (accept-new)";
    throw session.error(Phase::host_key, ErrorKind::host_key_unknown, std::move(reason),
                        std::move(remedy));
}

} // namespace muster::ssh::detail
