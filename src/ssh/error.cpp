#include <muster/ssh/error.hpp>

#include <utility>

namespace muster::ssh {

namespace {

std::string describe(const Failure& failure) {
    std::string text;
    if (!failure.host.empty()) {
        const bool colons = failure.host.find(':') != std::string::npos;
        text += colons ? "[" + failure.host + "]" : failure.host;
        if (failure.port != 0) {
            text += ":" + std::to_string(failure.port);
        }
        text += ": ";
    }
    if (failure.phase != Phase::prepare) {
        text += to_string(failure.phase);
        text += ": ";
    }
    text += failure.reason;
    if (!failure.remedy.empty()) {
        text += " (" + failure.remedy + ")";
    }
    return text;
}

} // namespace

std::string_view to_string(Phase phase) noexcept {
    switch (phase) {
    case Phase::prepare:
        return "preparation";
    case Phase::resolve:
        return "resolve";
    case Phase::connect:
        return "connect";
    case Phase::key_exchange:
        return "key exchange";
    case Phase::host_key:
        return "host key";
    case Phase::authentication:
        return "authentication";
    case Phase::channel:
        return "channel";
    case Phase::command:
        return "command";
    case Phase::transfer:
        return "transfer";
    case Phase::close:
        return "close";
    }
    return "?";
}

std::string_view to_string(ErrorKind kind) noexcept {
    switch (kind) {
    case ErrorKind::configuration:
        return "configuration";
    case ErrorKind::unreachable:
        return "unreachable";
    case ErrorKind::timeout:
        return "timeout";
    case ErrorKind::no_common_method:
        return "no common method";
    case ErrorKind::host_key_unknown:
        return "host key unknown";
    case ErrorKind::host_key_changed:
        return "host key changed";
    case ErrorKind::host_key_revoked:
        return "host key revoked";
    case ErrorKind::authentication:
        return "authentication";
    case ErrorKind::command_failed:
        return "command failed";
    case ErrorKind::request_refused:
        return "request refused";
    case ErrorKind::protocol:
        return "protocol";
    case ErrorKind::connection_lost:
        return "connection lost";
    case ErrorKind::closed:
        return "closed";
    case ErrorKind::no_such_file:
        return "no such file";
    case ErrorKind::permission_denied:
        return "permission denied";
    case ErrorKind::file_failed:
        return "file failed";
    case ErrorKind::local_file:
        return "local file";
    }
    return "?";
}

Error::Error(Failure failure) : muster::Error(describe(failure)), failure_(std::move(failure)) {}

} // namespace muster::ssh
