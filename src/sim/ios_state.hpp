#pragma once
// What a virtual IOS device knows, and how configuration lines change it.

#include "ios_config.hpp"

#include <muster/sim/ios.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::sim {

/// Where a session is in configuration mode: the sections entered, outermost first.
struct Place {
    struct Section {
        Mode mode;
        Words words;
    };

    std::vector<Section> sections;

    [[nodiscard]] Mode mode() const {
        return sections.empty() ? Mode::config : sections.back().mode;
    }

    [[nodiscard]] IosConfig::Path path() const;
};

/// A banner being typed: its lines follow until the delimiter comes.
struct BannerInput {
    Words words; ///< `banner motd`
    char delimiter = '#';
    std::string text;

    /// Takes a line; true if it was the last.
    bool take(std::string_view line);
};

/// What became of a configuration line.
struct Outcome {
    std::string text; ///< what the device prints
    Place place;      ///< where the session is afterwards
    bool rejected = false;
    bool leave = false;                ///< back to exec mode
    std::optional<std::string> exec{}; ///< `do ...`: to be run as an exec command
    std::size_t exec_column = 0;
    std::optional<BannerInput> banner{};
};

class IosState {
public:
    explicit IosState(IosProfile profile);

    /// Applies one line typed at `place`; `indent` is the width of the prompt, for the caret.
    Outcome configure(Place place, std::string_view line, std::size_t indent);

    void finish_banner(const BannerInput& banner);

    [[nodiscard]] const std::string& hostname() const { return hostname_; }

    /// Whether `enable` accepts this; nullopt if no secret is set.
    [[nodiscard]] std::optional<bool> enables(std::string_view secret) const;

    /// Whether a login authenticates against AAA, which answers a wrong secret at once.
    [[nodiscard]] bool uses_aaa() const;

    void save();

    void erase_startup() { startup_.reset(); }

    void reload();

    /// Records who changed the configuration, for the header and the log.
    void note_change(const std::string& user);

    [[nodiscard]] bool unsaved() const;

    [[nodiscard]] const IosConfig& running() const { return running_; }

    [[nodiscard]] const IosConfig* startup() const { return startup_ ? &*startup_ : nullptr; }

    [[nodiscard]] const IosProfile& profile() const { return profile_; }

    [[nodiscard]] const std::string& change_note() const { return change_note_; }

    [[nodiscard]] const std::string& save_note() const { return save_note_; }

    [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

    [[nodiscard]] std::chrono::system_clock::time_point now() const;
    [[nodiscard]] std::chrono::seconds uptime() const;
    [[nodiscard]] std::vector<IosInterface> interfaces() const;

    /// The text between a banner's delimiters; empty if it is not set.
    [[nodiscard]] std::string banner(std::string_view kind) const;

private:
    void apply(Outcome& outcome, const Rule& rule, Match match, bool negated, std::size_t indent);
    void negate(Outcome& outcome, const Rule& rule, const Match& match);
    void enter(Outcome& outcome, const Rule& rule, const Match& match, std::size_t indent);
    void power_on();
    void refresh_hostname();

    IosProfile profile_;
    IosConfig running_;
    std::optional<IosConfig> startup_;
    IosConfig factory_;      ///< what a device without a startup configuration boots with
    bool has_ports_ = false; ///< the factory configuration is read: no ports but those it names
    std::string hostname_;
    std::string change_note_;
    std::string save_note_;
    std::vector<std::string> log_;
    std::chrono::system_clock::time_point started_;
};

/// The two lines IOS prints under a line it can't read; `column` counts from the terminal's edge.
std::string invalid_input(std::size_t column);

/// What IOS says of a line that did not match; `indent` is the width of the prompt.
std::string complaint(const Match& match, std::string_view line, std::size_t indent);

/// `12:34:56 UTC Mon Mar 1 2021`, the way IOS writes it in notes.
std::string ios_time(std::chrono::system_clock::time_point when);

} // namespace muster::sim
