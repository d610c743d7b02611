#include "ssh/config_words.hpp"
#include "ssh/crypto.hpp"
#include "ssh/files.hpp"
#include "ssh/patterns.hpp"

#include <muster/ssh/config.hpp>
#include <muster/ssh/error.hpp>
#include <muster/ssh/known_hosts.hpp>
#include <muster/ssh/private_key.hpp>

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

namespace muster::ssh {

using detail::Destination;
using detail::ValueProblem;

namespace {

constexpr const char* system_folder = "/etc/ssh";

/// As OpenSSH: files that include each other end here.
constexpr int deepest_include = 16;

using Values = std::vector<std::string>;

HostKeyPolicy parse_policy(std::string_view text) {
    const std::string word = detail::lower(text);
    if (word == "yes" || word == "true" || word == "ask") {
        return HostKeyPolicy::strict;
    }
    if (word == "accept-new") {
        return HostKeyPolicy::accept_new;
    }
    if (word == "no" || word == "false" || word == "off") {
        return HostKeyPolicy::insecure_ignore;
    }
    throw ValueProblem("expected yes, ask, accept-new or no");
}

bool parse_flag(std::string_view text) {
    const std::string word = detail::lower(text);
    if (word == "yes" || word == "true") {
        return true;
    }
    if (word == "no" || word == "false") {
        return false;
    }
    throw ValueProblem("expected yes or no");
}

void check_list(const Values& values) {
    if (values.size() > 1 && std::find(values.begin(), values.end(), "none") != values.end()) {
        throw ValueProblem("'none' stands alone");
    }
}

/// A keyword that is understood, and what its values must be.
struct Keyword {
    std::string_view name;
    void (*check)(const Values& values); // throws ValueProblem
    bool is_list = false;
};

constexpr auto anything = [](const Values& /*values*/) {};
constexpr auto check_time = [](const Values& values) { detail::parse_time(values[0]); };

constexpr std::array<Keyword, 14> keywords{
    {{"hostname", anything},
     {"identitiesonly", [](const Values& values) { parse_flag(values[0]); }},
     {"identityagent", anything},
     {"user", anything},
     {"port", [](const Values& values) { detail::parse_port(values[0]); }},
     {"identityfile", anything},
     {"proxyjump", [](const Values& values) { detail::parse_jumps(values[0]); }},
     {"userknownhostsfile", check_list, true},
     {"globalknownhostsfile", check_list, true},
     {"stricthostkeychecking", [](const Values& values) { parse_policy(values[0]); }},
     {"hostkeyalias", anything},
     {"connecttimeout", check_time},
     {"serveraliveinterval", check_time},
     {"serveralivecountmax", [](const Values& values) { detail::parse_count(values[0]); }}}};

const Keyword* find_keyword(std::string_view name) {
    const auto* const found =
        std::find_if(keywords.begin(), keywords.end(),
                     [&](const Keyword& keyword) { return keyword.name == name; });
    return found == keywords.end() ? nullptr : found;
}

Error error_in(const std::string& where, const std::string& what, std::string remedy) {
    Failure failure;
    failure.kind = ErrorKind::configuration;
    failure.reason = where + ": " + what;
    failure.remedy = std::move(remedy);
    return Error(std::move(failure));
}

Error error_at(const std::string& file, std::size_t line, const std::string& what) {
    return error_in(file + ":" + std::to_string(line), what,
                    "correct the line, see ssh_config(5), or remove it");
}

/// One word of a Match line that asks something, without its value: "host", "!user".
struct Criterion {
    std::string name;
    bool negated = false;
};

Criterion read_criterion(std::string_view word) {
    const bool negated = word.starts_with('!');
    return {detail::lower(word.substr(negated ? 1 : 0)), negated};
}

bool can_be_evaluated(const std::string& criterion) {
    return criterion == "host" || criterion == "originalhost" || criterion == "user" ||
           criterion == "localuser";
}

std::string local_host() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto value = static_cast<unsigned char>(c);
        text += digits[value >> 4U];
        text += digits[value & 0xFU];
    }
    return text;
}

} // namespace

/// Puts the lines of one file, and of those that it includes, into a Config.
class ConfigReader {
public:
    ConfigReader(Config& config, const std::string& file, std::size_t block, int depth)
        : config_(config),
          file_(config.files_.size()),
          outer_(block),
          block_(block),
          depth_(depth) {
        config_.files_.push_back(file);
    }

    void read(std::string_view text) {
        while (!text.empty()) {
            const auto end = std::min(text.find('\n'), text.size());
            ++line_;
            try {
                read_line(text.substr(0, end));
            } catch (const ValueProblem& problem) {
                throw error_at(name(), line_, problem.what());
            }
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

private:
    [[nodiscard]] std::string name() const { return config_.files_[file_]; }

    void problem(std::string what) {
        config_.problems_.push_back({name(), line_, std::move(what)});
    }

    void read_line(std::string_view text) {
        auto [keyword, rest] = detail::split_keyword(text);
        if (keyword.empty()) {
            return;
        }
        if (keyword == "identityfile2") {
            keyword = "identityfile"; // its old name
        }
        if (keyword == "proxycommand") {
            read_proxy_command(rest);
            return;
        }
        const Keyword* known = find_keyword(keyword);
        const bool structure = keyword == "host" || keyword == "match" || keyword == "include";
        if (known == nullptr && !structure) {
            problem("'" + keyword + "' is not supported");
            return;
        }
        Values words;
        try {
            words = detail::split_words(rest);
            check_words(words);
            if (keyword == "host") {
                open_block().words = std::move(words);
            } else if (keyword == "match") {
                read_match(words);
            } else if (keyword == "include") {
                include(words);
            } else {
                if (words.size() > 1 && !known->is_list) {
                    throw ValueProblem("more than one value");
                }
                known->check(words);
                keep(keyword, std::move(words));
            }
        } catch (const ValueProblem& what) {
            throw ValueProblem(keyword + ": " + what.what());
        }
    }

    static void check_words(const Values& words) {
        if (words.empty() || std::find(words.begin(), words.end(), "") != words.end()) {
            throw ValueProblem("a value is missing");
        }
    }

    // Unknown to connect(), but a ProxyJump that follows has no effect then.
    void read_proxy_command(std::string_view command) {
        if (detail::lower(command) != "none") {
            problem("'proxycommand' is not supported; for a jump host there is ProxyJump");
        }
        keep("proxycommand", {std::string(command)});
    }

    void keep(std::string keyword, Values values) {
        config_.settings_.push_back({std::move(keyword), std::move(values), block_, line_, file_});
    }

    Config::Block& open_block() {
        block_ = config_.blocks_.size();
        Config::Block& block = config_.blocks_.emplace_back();
        block.parent = outer_;
        return block;
    }

    void read_match(const Values& words) {
        Config::Block& block = open_block();
        block.is_match = true;
        for (std::size_t i = 0; i < words.size(); ++i) {
            std::string word = words[i];
            std::string value;
            const auto equals = word.find('=');
            const bool has_value = equals != std::string::npos;
            if (has_value) {
                value = word.substr(equals + 1);
                word.resize(equals);
            }
            const Criterion criterion = read_criterion(word);
            if (criterion.name == "all") {
                if (i + 1 < words.size()) {
                    throw ValueProblem("nothing follows 'all'");
                }
                block.never = block.never || criterion.negated;
                return;
            }
            if (criterion.name == "canonical" || criterion.name == "final") {
                cannot_evaluate(block, criterion);
                continue;
            }
            if (!has_value) {
                if (++i == words.size()) {
                    throw ValueProblem("'" + criterion.name + "' needs a value");
                }
                value = words[i];
            }
            if (!can_be_evaluated(criterion.name)) {
                cannot_evaluate(block, criterion);
            }
            block.words.push_back(std::move(word));
            block.words.push_back(std::move(value));
        }
    }

    void cannot_evaluate(Config::Block& block, const Criterion& criterion) {
        block.never = true;
        problem("'match " + criterion.name +
                "' is not supported: what follows, up to the next Host or Match, has no effect");
    }

    void include(const Values& patterns) {
        if (depth_ == deepest_include) {
            throw ValueProblem("too many files that include others: one may include itself");
        }
        const std::string folder =
            name().starts_with(std::string(system_folder) + "/") ? system_folder : "~/.ssh";
        for (const std::string& pattern : patterns) {
            const bool relative = !pattern.starts_with('/') && !pattern.starts_with('~');
            for (const std::string& path :
                 matching_files(detail::expand_home(relative ? folder + "/" + pattern : pattern))) {
                if (const auto text = detail::read_file(path)) {
                    ConfigReader(config_, path, block_, depth_ + 1).read(*text);
                }
            }
        }
    }

    static Values matching_files(const std::string& pattern) {
        ::glob_t found{};
        Values paths;
        if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
            paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
        }
        ::globfree(&found);
        return paths;
    }

    Config& config_;
    std::size_t file_;
    std::size_t outer_; // the block that the file stands in
    std::size_t block_; // the one that is open
    std::size_t line_ = 0;
    int depth_;
};

/// Finds out what a Config says about one host.
class ConfigLookup {
public:
    /// `chain`: the hosts on whose way this one is a jump host.
    ConfigLookup(const Config& config, Destination destination, Values chain = {})
        : config_(config),
          destination_(std::move(destination)),
          chain_(std::move(chain)),
          applies_(config.blocks_.size()) {
        applies_[0] = true;
        for (const auto& setting : config_.settings_) {
            if (applies(setting.block)) {
                take(setting);
            }
        }
    }

    [[nodiscard]] Options options(bool with_jumps = true) const {
        Options result;
        result.host = host();
        result.username = user();
        result.port = port();
        result.keys = keys();
        result.known_hosts = known_hosts();
        if (const auto* setting = find("stricthostkeychecking")) {
            result.host_key_policy = parse_policy(setting->values[0]);
        }
        if (const auto* setting = find("identitiesonly")) {
            result.identities_only = parse_flag(setting->values[0]);
        }
        if (const auto* setting = find("identityagent")) {
            result.agent = agent(*setting);
        }
        if (const auto* setting = find("hostkeyalias")) {
            result.host_key_alias = setting->values[0];
        }
        if (const auto* setting = find("connecttimeout")) {
            result.timeouts.connect = limit(*setting);
        }
        if (const auto* setting = find("serveraliveinterval")) {
            result.keepalive = limit(*setting);
        }
        if (const auto* setting = find("serveralivecountmax")) {
            result.keepalive_tries = detail::parse_count(setting->values[0]);
        }
        if (with_jumps) {
            result.proxy_jump = jumps();
        }
        return result;
    }

private:
    using Setting = Config::Setting;

    [[nodiscard]] bool applies(std::size_t index) {
        if (!applies_[index]) {
            // The first setting behind the line asks; later ones may set what the line asks for.
            const Config::Block& block = config_.blocks_[index];
            applies_[index] = applies(block.parent) && !block.never &&
                              (block.is_match ? matches_all(block.words) : is_host(block.words));
        }
        return *applies_[index];
    }

    [[nodiscard]] bool is_host(const Values& patterns) const {
        bool matched = false;
        for (const std::string& pattern : patterns) {
            const bool negated = pattern.starts_with('!');
            if (detail::matches_pattern(destination_.host,
                                        std::string_view(pattern).substr(negated ? 1 : 0))) {
                if (negated) {
                    return false;
                }
                matched = true;
            }
        }
        return matched;
    }

    [[nodiscard]] bool matches_all(const Values& words) const {
        for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
            const Criterion criterion = read_criterion(words[i]);
            const std::string& list = words[i + 1];
            const auto is_one_of = [&](const std::string& host) {
                return detail::matches_list(detail::lower(host), detail::lower(list));
            };
            const bool matched = criterion.name == "host"           ? is_one_of(host())
                                 : criterion.name == "originalhost" ? is_one_of(destination_.host)
                                 : criterion.name == "user"
                                     ? detail::matches_list(remote_user(), list)
                                     : detail::matches_list(detail::current_user(), list);
            if (matched == criterion.negated) {
                return false;
            }
        }
        return true;
    }

    void take(const Setting& setting) {
        if (setting.keyword == "identityfile") {
            identities_.push_back(&setting);
        } else if (setting.keyword == "proxyjump" || setting.keyword == "proxycommand") {
            proxy_ = proxy_ == nullptr ? &setting : proxy_; // they exclude each other
        } else {
            first_.try_emplace(setting.keyword, &setting);
        }
    }

    [[nodiscard]] const Setting* find(std::string_view keyword) const {
        const auto found = first_.find(keyword);
        return found == first_.end() ? nullptr : found->second;
    }

    /// `expand(value)`, with the place of the setting in its error.
    template <class Expand>
    [[nodiscard]] std::string expanded(const Setting& setting, const std::string& value,
                                       Expand expand, const detail::Tokens& tokens) const {
        try {
            return expand(value, tokens);
        } catch (const ValueProblem& problem) {
            throw error_at(config_.files_[setting.file], setting.line,
                           setting.keyword + ": " + problem.what());
        }
    }

    // In lower case, but for what stands behind a "%", the name of an interface.
    [[nodiscard]] std::string host() const {
        const Setting* setting = find("hostname");
        std::string name = destination_.host;
        if (setting != nullptr) {
            name =
                expanded(*setting, setting->values[0], detail::expand_tokens,
                         [this](char token) -> std::optional<std::string> {
                             return token == 'h' ? std::optional(destination_.host) : std::nullopt;
                         });
        }
        return name.find('%') == std::string::npos ? detail::lower(name) : name;
    }

    [[nodiscard]] std::string user() const {
        const Setting* setting = find("user");
        return !destination_.user.empty() || setting == nullptr ? destination_.user
                                                                : setting->values[0];
    }

    [[nodiscard]] std::string remote_user() const {
        std::string name = user();
        return name.empty() ? detail::current_user() : name;
    }

    [[nodiscard]] std::uint16_t port() const {
        constexpr std::uint16_t ssh = 22;
        const Setting* setting = find("port");
        return destination_.port.value_or(
            setting == nullptr ? ssh : detail::parse_port(setting->values[0]));
    }

    [[nodiscard]] std::optional<std::string> token(char name) const {
        switch (name) {
        case 'C':
            return to_hex(
                detail::sha1(local_host() + host() + std::to_string(port()) + remote_user()));
        case 'd':
            return detail::home_directory();
        case 'h':
            return host();
        case 'i':
            return std::to_string(::getuid());
        case 'k': {
            const Setting* alias = find("hostkeyalias");
            return alias == nullptr ? destination_.host : alias->values[0];
        }
        case 'L': {
            const std::string name_of_machine = local_host();
            return name_of_machine.substr(0, name_of_machine.find('.'));
        }
        case 'l':
            return local_host();
        case 'n':
            return destination_.host;
        case 'p':
            return std::to_string(port());
        case 'r':
            return remote_user();
        case 'u':
            return detail::current_user();
        default:
            return std::nullopt;
        }
    }

    [[nodiscard]] std::string path(const Setting& setting, const std::string& value) const {
        return expanded(setting, value, detail::expand_path,
                        [this](char name) { return token(name); });
    }

    [[nodiscard]] std::vector<KeySource> keys() const {
        std::vector<KeySource> sources;
        if (identities_.empty()) {
            for (const char* name : {"id_rsa", "id_ecdsa", "id_ed25519"}) {
                const std::string file = detail::home_directory() + "/.ssh/" + name;
                if (exists(file) && needs_no_passphrase(file)) {
                    sources.push_back({file});
                }
            }
        }
        for (const Setting* setting : identities_) {
            const std::string& value = setting->values[0];
            if (detail::lower(value) == "none") {
                continue;
            }
            const std::string file = path(*setting, value);
            const bool listed =
                std::any_of(sources.begin(), sources.end(),
                            [&](const KeySource& source) { return source.path == file; });
            if (!listed && exists(file)) {
                sources.push_back({file});
            }
        }
        return sources;
    }

    /// Nothing where the environment decides, as it does without the keyword.
    [[nodiscard]] std::optional<std::string> agent(const Setting& setting) const {
        const std::string& value = setting.values[0];
        if (value == "SSH_AUTH_SOCK") {
            return std::nullopt;
        }
        if (value == "none") {
            return "";
        }
        return path(setting, value.starts_with('$') && !value.starts_with("${")
                                 ? "${" + value.substr(1) + "}"
                                 : value);
    }

    [[nodiscard]] static bool exists(const std::string& file) {
        return detail::stamp_of(file) != detail::FileStamp{};
    }

    [[nodiscard]] static bool needs_no_passphrase(const std::string& file) {
        try {
            PrivateKey::load(file);
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    /// Empty where the files name none: connect() has the same default.
    [[nodiscard]] Values known_hosts() const {
        const Setting* of_user = find("userknownhostsfile");
        const Setting* of_system = find("globalknownhostsfile");
        if (of_user == nullptr && of_system == nullptr) {
            return {};
        }
        const Values defaults = default_known_hosts_files();
        Values files;
        const auto add = [&](const Setting* setting, const std::string& otherwise) {
            if (setting == nullptr) {
                files.push_back(otherwise);
                return;
            }
            for (const std::string& value : setting->values) {
                files.push_back(value == "none" ? "/dev/null" : path(*setting, value));
            }
        };
        add(of_user, defaults.front());
        add(of_system, defaults.back());
        return files;
    }

    [[nodiscard]] static TimeLimit limit(const Setting& setting) {
        const auto time = detail::parse_time(setting.values[0]);
        return time && time->count() > 0 ? TimeLimit(*time) : TimeLimit(std::nullopt);
    }

    /// The first jump host has jump hosts of its own; the others are reached through the one
    /// before.
    [[nodiscard]] std::vector<Options> jumps() const {
        std::vector<Options> hops;
        if (proxy_ == nullptr || proxy_->keyword != "proxyjump") {
            return hops;
        }
        Values chain = chain_;
        chain.push_back(label(destination_));
        for (const Destination& jump : detail::parse_jumps(proxy_->values[0])) {
            if (std::find(chain.begin(), chain.end(), label(jump)) != chain.end()) {
                throw error_in(config_.files_[proxy_->file] + ":" + std::to_string(proxy_->line),
                               "the way to jump host '" + jump.host + "' leads through itself",
                               "leave it out of the hosts with a jump host: Host * !" + jump.host);
            }
            const bool is_first = hops.empty();
            Options hop = ConfigLookup(config_, jump, chain).options(is_first);
            std::vector<Options> before = std::exchange(hop.proxy_jump, {});
            hops.insert(hops.end(), std::make_move_iterator(before.begin()),
                        std::make_move_iterator(before.end()));
            hops.push_back(std::move(hop));
        }
        return hops;
    }

    [[nodiscard]] static std::string label(const Destination& destination) {
        return detail::lower(destination.host) +
               (destination.port ? ":" + std::to_string(*destination.port) : std::string());
    }

    const Config& config_;
    Destination destination_;
    Values chain_;
    std::vector<std::optional<bool>> applies_;
    std::map<std::string, const Setting*, std::less<>> first_;
    std::vector<const Setting*> identities_;
    const Setting* proxy_ = nullptr;
};

Config Config::load() {
    return load(
        {detail::home_directory() + "/.ssh/config", std::string(system_folder) + "/ssh_config"});
}

Config Config::load(const std::vector<std::string>& files) {
    Config config;
    for (const std::string& file : files) {
        if (const auto text = detail::read_file(file)) {
            config.add(*text, file);
        }
    }
    return config;
}

void Config::add(std::string_view text, const std::string& file) {
    ConfigReader(*this, file, 0, 0).read(text);
}

Options Config::options(std::string_view destination) const {
    Destination parsed;
    try {
        parsed = detail::parse_destination(destination);
    } catch (const ValueProblem& problem) {
        throw error_in("'" + std::string(destination) + "'", problem.what(),
                       "expected: HOST, USER@HOST or ssh://USER@HOST:PORT");
    }
    return ConfigLookup(*this, std::move(parsed)).options();
}

} // namespace muster::ssh
