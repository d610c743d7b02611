#include "ssh/login.hpp"

#include <muster/ssh/known_hosts.hpp>

#include <string>
#include <utility>

namespace muster::ssh::detail {

namespace {

std::vector<std::string> files_of(const Options& options) {
    return options.known_hosts.empty() ? default_known_hosts_files() : options.known_hosts;
}

std::string place(const HostKeyVerdict& verdict) {
    return verdict.file + ":" + std::to_string(verdict.line);
}

} // namespace

void check_host_key(Session& session, const Options& options) {
    const std::string key = session.engine().host_key();
    session.host_key_fingerprint = fingerprint(key);
    if (options.host_key_policy == HostKeyPolicy::insecure_ignore) {
        return;
    }
    const auto files = files_of(options);
    const auto known = KnownHosts::cached(files);
    const HostKeyVerdict verdict = known->check(options.host, options.port, key);
    const std::string presented = verdict.type + " key " + verdict.fingerprint;
    switch (verdict.status) {
    case HostKeyStatus::match:
        return;
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
    if (options.host_key_policy == HostKeyPolicy::accept_new) {
        append_known_host(files.front(), options.host, options.port, key);
        return;
    }
    std::string reason = "the host key is not known: the device presents the " + presented;
    if (verdict.has_authority) {
        reason += "; the @cert-authority line for this host is not supported";
    }
    std::string remedy = "verify the fingerprint, then: ssh-keyscan ";
    if (options.port != 22) {
        remedy += "-p " + std::to_string(options.port) + " ";
    }
    remedy += options.host + " >> " + files.front() + "; or accept new keys (accept-new)";
    throw session.error(Phase::host_key, ErrorKind::host_key_unknown, std::move(reason),
                        std::move(remedy));
}

} // namespace muster::ssh::detail
