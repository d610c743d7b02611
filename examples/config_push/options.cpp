#include "options.hpp"

#include <CLI/CLI.hpp>

#include <map>

namespace config_push {

namespace {

constexpr const char* footer = R"(
INVENTORY is a netmiko device list, nornir's hosts file or folder, or the output of
`ansible-inventory --list`, as YAML or JSON; `-` is standard input. CONFIG is a file with
configuration lines, as they would be typed in configuration mode.

A device stops at the first line it refuses; the others go on. Results are printed on standard
output, progress and errors on standard error. Passwords are never taken from the command line.

Exit status: 0 all as intended; 1 some device failed or was unreachable; 2 wrong usage or input,
nothing was sent; 4 for some device it is unknown how far it got: look at it; 130 or 143
interrupted (the first Ctrl-C starts no further device, the second aborts).

Examples:
  config-push --demo
  config-push devices.yaml ntp.cfg --save
  config-push hosts.yaml acl.cfg --filter 'role:edge and not site:ams' --max-at-once 20
  config-push devices.yaml ntp.cfg --username ops --password-from env:NET_PASSWORD --output json
)";

// "1.5s", "500ms", "2m", or a bare number of seconds.
void add_duration(CLI::App& app, const std::string& name, double& seconds,
                  const std::string& help) {
    const std::map<std::string, double> units = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
    app.add_option(name, seconds, help)
        ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE, "DURATION"))
        ->type_name("DURATION");
}

std::optional<std::chrono::milliseconds> to_limit(const CLI::App& app, const std::string& name,
                                                  double seconds) {
    if (app.count(name) == 0) {
        return std::nullopt;
    }
    constexpr double longest = 30.0 * 24 * 3600;
    if (!(seconds > 0) || seconds > longest) {
        throw CLI::ValidationError(name, "must be more than 0 and at most 720h");
    }
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

} // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
    Options options;
    CLI::App app("Pushes configuration lines to many network devices at once, over SSH.",
                 "config-push");
    app.footer(footer);
    app.set_version_flag("--version", std::string("config-push ") + MUSTER_VERSION);
    auto* inventory = app.add_option("INVENTORY", options.inventory,
                                     "the devices (- is standard "
                                     "input)");
    auto* config = app.add_option("CONFIG", options.config, "the configuration lines");
    app.add_option("--filter", options.filter,
                   "only devices that match: 'role:edge and not site:ams'");
    app.add_option("--max-at-once", options.max_at_once, "devices worked on at the same time")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
        ->capture_default_str();
    double device_timeout = 0;
    double connect_timeout = 0;
    double command_timeout = 0;
    add_duration(app, "--timeout", device_timeout, "for one device altogether");
    add_duration(app, "--connect-timeout", connect_timeout, "until the SSH connection is up");
    add_duration(app, "--command-timeout", command_timeout, "for each command and line");
    app.add_flag("--save", options.save, "make the configuration permanent afterwards");
    app.add_flag("!--no-compare", options.compare,
                 "do not read the running configuration before and after: faster, but cannot tell "
                 "unchanged from changed");
    app.add_option("--known-hosts", options.known_hosts,
                   "host keys to check against (default: "
                   "~/.ssh/known_hosts and the system's)");
    using muster::ssh::HostKeyPolicy;
    const std::map<std::string, HostKeyPolicy> policies = {
        {"strict", HostKeyPolicy::strict},
        {"accept-new", HostKeyPolicy::accept_new},
        {"insecure-ignore", HostKeyPolicy::insecure_ignore}};
    app.add_option("--host-keys", options.host_keys,
                   "unknown host keys: strict refuses them "
                   "(default), accept-new adds them")
        ->transform(CLI::CheckedTransformer(policies))
        ->type_name("strict|accept-new|insecure-ignore");
    app.add_option("--username", options.username, "where the inventory names none");
    app.add_option("--password-from", options.password_from,
                   "where the inventory has none: env:NAME, file:PATH or prompt");
    const std::map<std::string, Output> outputs = {
        {"table", Output::table}, {"json", Output::json}, {"ndjson", Output::ndjson}};
    app.add_option("--output", options.output, "how results are printed (default: table)")
        ->transform(CLI::CheckedTransformer(outputs))
        ->type_name("table|json|ndjson");
    app.add_flag("!--no-progress", options.progress, "no progress on standard error");
    auto* demo = app.add_flag("--demo", options.demo,
                              "start a virtual fleet and push a configuration to it");
    app.add_option("--devices", options.demo_devices, "with --demo: how many")
        ->check(CLI::Range(1, 2000))
        ->needs(demo)
        ->capture_default_str();
    demo->excludes(inventory)->excludes(config);
    try {
        app.parse(argc, argv);
        options.device_timeout = to_limit(app, "--timeout", device_timeout);
        options.connect_timeout = to_limit(app, "--connect-timeout", connect_timeout);
        options.command_timeout = to_limit(app, "--command-timeout", command_timeout);
        if (!options.demo && (options.inventory.empty() || options.config.empty())) {
            throw CLI::RequiredError(options.inventory.empty() ? "INVENTORY" : "CONFIG");
        }
    } catch (const CLI::ParseError& error) {
        const bool asked = error.get_exit_code() == 0; // --help, --version
        app.exit(error);
        return asked ? 0 : 2;
    }
    return options;
}

} // namespace config_push
