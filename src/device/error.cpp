#include <muster/device/error.hpp>

namespace muster::device {

namespace {

std::string sentence(const Failure& failure) {
    std::string text = failure.device;
    if (!failure.host.empty()) {
        text += text.empty() ? failure.host : " (" + failure.host + ")";
    }
    text += text.empty() ? "" : ": ";
    text += std::string(to_string(failure.phase)) + ": " + failure.reason;
    if (!failure.remedy.empty()) {
        text += "; " + failure.remedy;
    }
    return text;
}

} // namespace

std::string_view to_string(Phase phase) noexcept {
    switch (phase) {
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
    case Phase::prompt:
        return "prompt";
    case Phase::command:
        return "command";
    case Phase::transfer:
        return "transfer";
    }
    return "";
}

DeviceError::DeviceError(Failure failure)
    : Error(sentence(failure)), failure_(std::move(failure)) {}

} // namespace muster::device
