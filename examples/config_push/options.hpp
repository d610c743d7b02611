#pragma once

#include <muster/ssh/options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

namespace config_push {

enum class Output { table, json, ndjson };

/// What the command line asks for.
struct Options {
    std::string inventory;
    std::string config;
    std::string filter;
    std::size_t max_at_once = 100;
    std::optional<std::chrono::milliseconds> device_timeout;
    std::optional<std::chrono::milliseconds> connect_timeout;
    std::optional<std::chrono::milliseconds> command_timeout;
    bool save = false;
    bool compare = true;
    std::string known_hosts;
    muster::ssh::HostKeyPolicy host_keys = muster::ssh::HostKeyPolicy::strict;
    std::string username;
    std::string password_from;
    Output output = Output::table;
    bool progress = true;
    bool demo = false;
    int demo_devices = 50;
};

/// The options, or the exit status after --help, --version or a usage error (which were printed).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

} // namespace config_push
