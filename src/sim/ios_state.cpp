#include "ios_state.hpp"

#include <muster/core/error.hpp>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>

namespace muster::sim {

namespace {

constexpr std::string_view factory_config[]{
    "service timestamps debug datetime msec",
    "service timestamps log datetime msec",
    "no service password-encryption",
    "no aaa new-model",
    "ip cef",
    "interface GigabitEthernet0/0",
    "duplex auto",
    "speed auto",
    "interface GigabitEthernet0/1",
    "shutdown",
    "duplex auto",
    "speed auto",
    "interface GigabitEthernet0/2",
    "shutdown",
    "duplex auto",
    "speed auto",
    "interface GigabitEthernet0/3",
    "shutdown",
    "duplex auto",
    "speed auto",
    "no ip http server",
    "no ip http secure-server",
    "line con 0",
    "line aux 0",
    "line vty 0 4",
    "login local",
    "transport preferred none",
    "transport input ssh",
};

// A stand-in for IOS's password hashes: same shape, same input gives the same text.
std::string scrambled(std::string_view secret) {
    constexpr std::string_view alphabet =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string text = "$9$muster.virtual$";
    std::uint64_t hash = 14695981039346656037U;
    for (int round = 0; round < 43; ++round) {
        for (const char c : secret) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
        }
        hash = (hash ^ static_cast<std::uint64_t>(round)) * 1099511628211U;
        text += alphabet[hash >> 58];
    }
    return text;
}

// Replaces a secret in clear by its hash, and says so by the type digit before it.
void conceal(Words& words) {
    const auto kind = std::ranges::find_if(
        words, [](const auto& word) { return word == "secret" || word == "password"; });
    if (kind == words.end() || kind + 1 == words.end()) {
        return;
    }
    const bool typed = kind + 2 != words.end();
    if (typed && *(kind + 1) != "0") {
        return;
    }
    auto text = scrambled(words.back());
    words.erase(kind + 1, words.end());
    words.insert(words.end(), {std::string("9"), std::move(text)});
}

bool is_virtual(std::string_view interface) {
    return interface.starts_with("Loopback") || interface.starts_with("Tunnel") ||
           interface.starts_with("Port-channel") || interface.starts_with("Vlan");
}

ConfigLine fixed_line(std::string_view text, int rank) {
    ConfigLine line;
    line.words = {std::string(text)};
    line.rank = rank;
    return line;
}

} // namespace

bool BannerInput::take(std::string_view line) {
    const auto end = line.find(delimiter);
    const bool last = end != std::string_view::npos;
    text += line.substr(0, end);
    text += last ? "" : "\n";
    return last;
}

IosConfig::Path Place::path() const {
    IosConfig::Path path;
    for (const auto& section : sections) {
        path.push_back(section.words);
    }
    return path;
}

IosState::IosState(IosProfile profile) : profile_(std::move(profile)) {
    running_.set({}, fixed_line("version 15.9", 10));
    running_.set({}, fixed_line("boot-start-marker", 40));
    running_.set({}, fixed_line("boot-end-marker", 42));
    Place place;
    const auto boot = [&](std::string_view line) {
        auto outcome = configure(std::move(place), line, 0);
        if (outcome.rejected) {
            throw ValueError("virtual device " + profile_.hostname +
                             ": its configuration has a line the device does not understand: \"" +
                             std::string(line) + "\"");
        }
        place = std::move(outcome.place);
    };
    for (const auto line : factory_config) {
        boot(line);
    }
    has_ports_ = true;
    boot("hostname " + profile_.hostname);
    if (!profile_.enable_secret.empty()) {
        boot("enable secret " + profile_.enable_secret.reveal());
    }
    boot("interface GigabitEthernet0/0");
    boot("ip address " + profile_.management_ip + " 255.255.255.0");
    place = {};
    factory_ = running_;
    for (const auto& line : profile_.config) {
        boot(line);
    }
    save();
    power_on();
}

void IosState::power_on() {
    started_ = now();
    change_note_.clear();
    save_note_.clear();
    log_.clear();
}

std::chrono::system_clock::time_point IosState::now() const {
    return profile_.now ? profile_.now() : std::chrono::system_clock::now();
}

std::chrono::seconds IosState::uptime() const {
    return std::chrono::duration_cast<std::chrono::seconds>(now() - started_);
}

Outcome IosState::configure(Place place, std::string_view line, std::size_t indent) {
    Outcome outcome;
    const auto tokens = tokenize(line);
    if (tokens.empty() || tokens.front().text.front() == '!') {
        outcome.place = std::move(place);
        return outcome;
    }
    const auto first = to_lower(tokens.front().text);
    const bool negated = first == "no" || first == "default";
    const auto from = negated ? tokens.front().column + tokens.front().text.size() : 0;

    // A line the section does not know may belong to one of the modes above it.
    auto here = place;
    std::optional<Match> best;
    for (;;) {
        const auto rules = rules_of(here.mode());
        auto match = grammar_of(here.mode()).match(line, from);
        if (negated && match.kind == Match::Kind::incomplete) {
            const auto identified = std::ranges::find_if(match.below, [&](int rule) {
                const auto key = rules[static_cast<std::size_t>(rule)].key;
                return key > 0 && key <= match.words.size();
            });
            if (identified != match.below.end()) {
                match.kind = Match::Kind::ok;
                match.rule = *identified;
            }
        }
        if (match.ok()) {
            const auto& rule = rules[static_cast<std::size_t>(match.rule)];
            outcome.place = std::move(rule.effect == Effect::exec ? place : here);
            apply(outcome, rule, std::move(match), negated, indent);
            return outcome;
        }
        const bool surer =
            !best || (best->kind == Match::Kind::invalid &&
                      (match.kind != Match::Kind::invalid || match.column > best->column));
        if (surer) {
            best = std::move(match);
        }
        if (here.sections.empty()) {
            break;
        }
        here.sections.pop_back();
    }
    if (negated && best->kind == Match::Kind::empty) {
        best->kind = Match::Kind::incomplete;
    }
    outcome.place = std::move(place);
    outcome.rejected = true;
    outcome.text = complaint(*best, line, indent);
    return outcome;
}

void IosState::apply(Outcome& outcome, const Rule& rule, Match match, bool negated,
                     std::size_t indent) {
    if (negated) {
        if (rule.effect == Effect::exit || rule.effect == Effect::end ||
            rule.effect == Effect::exec) {
            outcome.rejected = true;
            outcome.text = invalid_input(indent + match.columns.front());
            return;
        }
        negate(outcome, rule, match);
        return;
    }
    const auto path = outcome.place.path();
    if (match.words.size() == 2 && match.words[0] == "logging" && is_ipv4(match.words[1])) {
        match.words.insert(match.words.begin() + 1, "host");
    }
    ConfigLine line;
    line.words = match.words;
    line.key = rule.key;
    line.rank = rule.rank;
    switch (rule.effect) {
    case Effect::end:
        outcome.leave = true;
        return;
    case Effect::exit:
        outcome.leave = outcome.place.sections.empty();
        if (!outcome.leave) {
            outcome.place.sections.pop_back();
        }
        return;
    case Effect::exec:
        outcome.exec = match.words[1];
        outcome.exec_column = match.columns[1];
        return;
    case Effect::accept:
        return;
    case Effect::on:
        running_.erase(path, match.words, rule.key, true);
        return;
    case Effect::enter:
    case Effect::interface:
    case Effect::bgp:
        enter(outcome, rule, match, indent);
        return;
    case Effect::banner: {
        const auto& typed = match.words.back();
        BannerInput banner{{match.words[0], match.words[1]}, typed.front(), {}};
        if (banner.take(std::string_view(typed).substr(1))) {
            finish_banner(banner);
            return;
        }
        const std::string shown =
            banner.delimiter == '\x03' ? "^C" : std::string(1, banner.delimiter);
        outcome.text = "Enter TEXT message.  End with the character '" + shown + "'.\n";
        outcome.banner = std::move(banner);
        return;
    }
    case Effect::secret:
        conceal(line.words);
        break;
    case Effect::hostname:
    case Effect::store:
    case Effect::toggle:
        break;
    }
    running_.set(path, std::move(line));
    refresh_hostname();
}

void IosState::negate(Outcome& outcome, const Rule& rule, const Match& match) {
    const auto path = outcome.place.path();
    if (rule.effect == Effect::interface && !is_virtual(match.words.back()) &&
        match.words.back().find('.') == std::string::npos) {
        outcome.rejected = true;
        outcome.text = "% Removal of physical interfaces is not permitted.\n";
        return;
    }
    running_.erase(path, match.words, rule.key);
    if (rule.effect == Effect::toggle || rule.effect == Effect::on) {
        ConfigLine line;
        line.words = match.words;
        line.key = rule.key;
        line.rank = rule.rank;
        line.negated = true;
        running_.set(path, std::move(line));
    }
    refresh_hostname();
}

void IosState::enter(Outcome& outcome, const Rule& rule, const Match& match, std::size_t indent) {
    const auto path = outcome.place.path();
    auto section = path;
    section.push_back(match.words);
    const bool exists = running_.find(section) != nullptr;
    auto mode = rule.enters;
    if (rule.effect == Effect::interface) {
        const auto& name = match.words.back();
        const auto dot = name.find('.');
        const bool parent = dot != std::string::npos &&
                            running_.find({{"interface", name.substr(0, dot)}}) != nullptr;
        if (has_ports_ && !exists && !parent && !is_virtual(name)) {
            outcome.rejected = true;
            outcome.text = invalid_input(indent + match.columns.back());
            return;
        }
        mode = dot != std::string::npos ? Mode::subinterface : mode;
    }
    if (rule.effect == Effect::bgp && !exists) {
        for (const auto& line : running_.lines()) {
            if (line.words.size() > 2 && line.words[1] == "bgp") {
                outcome.rejected = true;
                outcome.text = "BGP is already running; AS is " + line.words[2] + "\n";
                return;
            }
        }
    }
    ConfigLine line;
    line.words = match.words;
    line.rank = rule.rank;
    line.section = true;
    running_.set(path, std::move(line));
    outcome.place.sections.push_back({mode, match.words});
}

void IosState::finish_banner(const BannerInput& banner) {
    ConfigLine line;
    line.words = banner.words;
    line.key = 2;
    line.rank = 180;
    line.tail = " ^C" + banner.text + "^C";
    running_.set({}, std::move(line));
}

std::string IosState::banner(std::string_view kind) const {
    for (const auto& line : running_.lines()) {
        if (line.words.size() == 2 && line.words[0] == "banner" && line.words[1] == kind) {
            return line.tail.substr(3, line.tail.size() - 5);
        }
    }
    return {};
}

void IosState::refresh_hostname() {
    hostname_ = "Router";
    for (const auto& line : running_.lines()) {
        if (line.words.size() == 2 && line.words[0] == "hostname") {
            hostname_ = line.words[1];
        }
    }
}

std::optional<bool> IosState::enables(std::string_view secret) const {
    for (const auto* kind : {"secret", "password"}) {
        for (const auto& line : running_.lines()) {
            if (line.words.size() > 2 && line.words[0] == "enable" && line.words[1] == kind) {
                return line.words.back() == scrambled(secret);
            }
        }
    }
    return std::nullopt;
}

bool IosState::uses_aaa() const {
    return std::ranges::any_of(running_.lines(), [](const auto& line) {
        return !line.negated && line.words == Words{"aaa", "new-model"};
    });
}

void IosState::save() {
    startup_ = running_;
    save_note_ = ios_time(now());
}

void IosState::reload() {
    running_ = startup_ ? *startup_ : factory_;
    refresh_hostname();
    power_on();
}

bool IosState::unsaved() const { return !startup_ || startup_->text() != running_.text(); }

void IosState::note_change(const std::string& user) {
    change_note_ = ios_time(now()) + " by " + user;
    log_.push_back("*" + ios_time(now()) + ": %SYS-5-CONFIG_I: Configured from console by " + user +
                   " on vty0");
}

std::vector<IosInterface> IosState::interfaces() const {
    std::vector<IosInterface> result;
    for (const auto& line : running_.lines()) {
        if (!line.section || line.words.front() != "interface") {
            continue;
        }
        IosInterface interface;
        interface.name = line.words.back();
        interface.enabled = true;
        for (const auto& child : line.children) {
            if (child.words.front() == "shutdown") {
                interface.enabled = false;
            } else if (child.words.front() == "description" && child.words.size() > 1) {
                interface.description = child.words[1];
            } else if (child.words.size() == 4 && child.words[1] == "address") {
                interface.ip = child.words[2];
                interface.mask = child.words[3];
            }
        }
        result.push_back(std::move(interface));
    }
    return result;
}

std::string invalid_input(std::size_t column) {
    return std::string(column, ' ') + "^\n% Invalid input detected at '^' marker.\n\n";
}

std::string complaint(const Match& match, std::string_view line, std::size_t indent) {
    switch (match.kind) {
    case Match::Kind::incomplete:
        return "% Incomplete command.\n\n";
    case Match::Kind::ambiguous:
        return "% Ambiguous command:  \"" + std::string(line) + "\"\n";
    case Match::Kind::invalid:
        return invalid_input(indent + match.column);
    case Match::Kind::ok:
    case Match::Kind::empty:
        break;
    }
    return {};
}

std::string ios_time(std::chrono::system_clock::time_point when) {
    const auto seconds = std::chrono::system_clock::to_time_t(when);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    const auto size = std::strftime(text, sizeof text, "%H:%M:%S UTC %a %b %e %Y", &parts);
    return {text, size};
}

IosDevice::IosDevice(IosProfile profile) : state_(std::make_unique<IosState>(std::move(profile))) {}

IosDevice::~IosDevice() = default;
IosDevice::IosDevice(IosDevice&&) noexcept = default;
IosDevice& IosDevice::operator=(IosDevice&&) noexcept = default;

const std::string& IosDevice::hostname() const { return state_->hostname(); }

std::string IosDevice::running_config() const { return state_->running().text(); }

std::string IosDevice::startup_config() const {
    return state_->startup() ? state_->startup()->text() : std::string();
}

std::vector<IosInterface> IosDevice::interfaces() const { return state_->interfaces(); }

IosConfigured IosDevice::configure(const std::vector<std::string>& lines, const std::string& user,
                                   std::string_view reject) {
    IosConfigured result;
    Place place;
    std::optional<BannerInput> banner;
    for (const auto& line : lines) {
        if (banner) {
            if (banner->take(line)) {
                state_->finish_banner(*banner);
                banner.reset();
            }
        } else {
            result.rejected = !reject.empty() && line.find(reject) != std::string::npos;
            auto outcome = result.rejected ? Outcome{} : state_->configure(place, line, 0);
            result.rejected = result.rejected || outcome.rejected;
            if (result.rejected) {
                break;
            }
            place = outcome.leave ? Place{} : std::move(outcome.place);
            banner = std::move(outcome.banner);
        }
        ++result.applied;
    }
    if (result.applied > 0) {
        state_->note_change(user);
    }
    return result;
}

std::string_view IosDevice::version() { return "15.9(3)M4"; }

const std::string& IosDevice::serial() const { return state_->profile().serial; }

std::chrono::seconds IosDevice::uptime() const { return state_->uptime(); }

} // namespace muster::sim
