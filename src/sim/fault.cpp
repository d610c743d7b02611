#include <muster/core/error.hpp>
#include <muster/sim/fault.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace muster::sim {

namespace {

constexpr std::array<std::pair<std::string_view, Failure>, 3> failures{{
    {"hang", Failure::hang},
    {"close", Failure::close},
    {"reset", Failure::reset},
}};

constexpr std::array<std::pair<std::string_view, Step>, 6> steps{{
    {"accept", Step::accept},
    {"banner", Step::banner},
    {"key-exchange", Step::key_exchange},
    {"authentication", Step::authentication},
    {"prompt", Step::prompt},
    {"line", Step::line},
}};

constexpr std::array<std::pair<std::string_view, bool Fault::*>, 8> switches{{
    {"refuse", &Fault::refuse},
    {"wrong-host-key", &Fault::wrong_host_key},
    {"reject-login", &Fault::reject_login},
    {"garbage-banner", &Fault::garbage_banner},
    {"noise", &Fault::noise},
    {"exec-once", &Fault::exec_once},
    {"one-session", &Fault::one_session},
    {"no-shell", &Fault::no_shell},
}};

[[noreturn]] void refuse(std::string_view part) {
    throw ValueError("unknown fault \"" + std::string(part) +
                     "\"; the parts of a fault, joined by +, are: "
                     "{hang,close,reset}-after-{accept,banner,key-exchange,authentication,prompt,"
                     "line:N}, refuse, wrong-host-key, reject-login, garbage-banner, noise, "
                     "exec-once, one-session, no-shell, reject-line:TEXT, drip:DURATION");
}

template <class Table>
auto look_up(const Table& table, std::string_view name) {
    const auto found = std::ranges::find(table, name, &Table::value_type::first);
    using Value = typename Table::value_type::second_type;
    return found != table.end() ? std::optional<Value>(found->second) : std::nullopt;
}

void read_part(Fault& fault, std::string_view part) {
    const auto colon = std::min(part.find(':'), part.size());
    const auto name = part.substr(0, colon);
    const auto argument = part.substr(std::min(colon + 1, part.size()));
    if (const auto flag = look_up(switches, part)) {
        fault.*(*flag) = true;
        return;
    }
    if (name == "reject-line" && !argument.empty()) {
        fault.reject_line = argument;
        return;
    }
    if (name == "drip") {
        fault.drip = parse_duration(argument);
        return;
    }
    const auto after = name.find("-after-");
    const auto failure = look_up(failures, name.substr(0, after));
    if (after == std::string_view::npos || !failure) {
        refuse(part);
    }
    const auto step = look_up(steps, name.substr(after + 7));
    if (!step || (*step == Step::line) == argument.empty()) {
        refuse(part);
    }
    fault.failure = *failure;
    fault.after = *step;
    if (*step == Step::line) {
        const auto* begin = argument.data();
        const auto* end = begin + argument.size();
        const auto [at, error] = std::from_chars(begin, end, fault.line);
        if (error != std::errc() || at != end || fault.line < 1) {
            refuse(part);
        }
    }
}

} // namespace

Fault Fault::parse(std::string_view script) {
    Fault fault;
    for (;;) {
        const auto plus = script.find('+');
        read_part(fault, script.substr(0, plus));
        if (plus == std::string_view::npos) {
            return fault;
        }
        script.remove_prefix(plus + 1);
    }
}

std::chrono::milliseconds parse_duration(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, double>, 4> units{{
        {"", 1000},
        {"ms", 1},
        {"s", 1000},
        {"m", 60'000},
    }};
    double value = 0;
    const auto* begin = text.data();
    const auto* end = begin + text.size();
    const auto [at, error] = std::from_chars(begin, end, value);
    const auto unit = look_up(units, std::string_view(at, static_cast<std::size_t>(end - at)));
    const double longest = 1e9;
    if (error != std::errc() || !unit || !(value >= 0) || value * *unit > longest) {
        throw ValueError("not a duration: \"" + std::string(text) +
                         "\"; write for example 250ms, 1.5s or 2m");
    }
    return std::chrono::milliseconds(static_cast<long long>(value * *unit));
}

} // namespace muster::sim
