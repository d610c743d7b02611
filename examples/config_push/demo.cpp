#include "demo.hpp"

#include "report.hpp"
#include "run.hpp"

#include <muster/fleet/progress.hpp>
#include <muster/muster.hpp>
#include <muster/sim/fleet.hpp>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace config_push {

using namespace muster;
using namespace std::chrono_literals;

namespace {

constexpr const char* config = R"(ntp server 192.0.2.10
ntp server 192.0.2.11
banner motd ^
Authorised access only. This network is looked after by muster.
^
)";

// A folder of its own that goes with the program.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "muster-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw Error("no temporary folder can be made in " +
                        std::filesystem::temp_directory_path().string());
        }
        path_ = pattern;
    }

    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

// Over a new session: the part of the running configuration that was pushed.
Coro<std::string> read_back(const device::Device& device, device::CliOptions session) {
    device::Cli cli = co_await device::Cli::open(device, std::move(session));
    co_await cli.enable();
    const std::string all = co_await cli.send_command("show running-config");
    co_await cli.close();
    std::string kept;
    bool in_banner = false;
    for (std::size_t at = 0; at < all.size();) {
        const std::size_t end = std::min(all.find('\n', at), all.size());
        const std::string line = all.substr(at, end - at);
        at = end + 1;
        const bool banner_begins = line.starts_with("banner motd");
        if (banner_begins || in_banner || line.starts_with("ntp server")) {
            kept += line + '\n';
        }
        if (banner_begins) {
            in_banner = true;
        } else if (in_banner && line.find("^C") != std::string::npos) {
            in_banner = false;
        }
    }
    co_return kept;
}

bool shows_config(const std::string& text) {
    return text.find("ntp server 192.0.2.10") != std::string::npos &&
           text.find("ntp server 192.0.2.11") != std::string::npos &&
           text.find("looked after by muster") != std::string::npos;
}

std::string indented(const std::string& text) {
    std::string result;
    bool begin = true;
    for (const char c : text) {
        if (begin) {
            result += "    ";
        }
        result += c;
        begin = c == '\n';
    }
    return result;
}

Coro<int> demonstrate(const sim::Fleet& virtual_fleet, Options options) {
    const fleet::Inventory inventory =
        fleet::Inventory::parse(virtual_fleet.inventory(), "virtual fleet");
    RunResult run = co_await run_push(inventory.devices(), config, "demo.cfg", options);
    print_table(run.reports, 5);
    fmt::print("\n{}\n", summary_line(run.reports, run.elapsed));
    if (run.signal != 0) {
        co_return 128 + run.signal;
    }

    device::CliOptions session;
    session.known_hosts = {options.known_hosts};
    fleet::FleetOptions again;
    again.max_at_once = options.max_at_once;
    const auto job = [&](const device::Device& device) { return read_back(device, session); };
    const auto shown = co_await fleet::run_fleet(inventory, job, again);
    std::size_t correct = 0;
    for (const auto& outcome : shown.outcomes) {
        correct += outcome.value && shows_config(*outcome.value) ? 1U : 0U;
    }
    fmt::print("\nRead back over new sessions in {}: {} of {} devices show it. {} says:\n\n{}",
               fleet::to_words(shown.elapsed), correct, inventory.size(),
               shown.outcomes.front().device,
               indented(shown.outcomes.front().value.value_or("(nothing)\n")));
    const int status = exit_status(run.reports);
    co_return status != 0 ? status : correct == inventory.size() ? 0 : 1;
}

} // namespace

int run_demo(const Options& given) {
    sim::FleetOptions fleet_options;
    fleet_options.devices = given.demo_devices;
    fleet_options.http = false;
    fleet_options.device.latency = {
        .connect = 60ms, .authenticate = 120ms, .command = 80ms, .jitter = 60ms};
    fmt::print("Starting {} virtual routers: real SSH on loopback, 80 to 140 ms for each answer.\n",
               given.demo_devices);
    const sim::Fleet virtual_fleet(fleet_options);
    const TemporaryFolder folder;
    Options options = given;
    options.known_hosts = (folder.path() / "known_hosts").string();
    virtual_fleet.write_known_hosts(options.known_hosts);
    fmt::print("Pushing this to all of them, from one thread:\n\n{}\n", indented(config));
    static_cast<void>(std::fflush(stdout));
    return run(demonstrate(virtual_fleet, options), {.debug = {}, .handle_sigint = false});
}

} // namespace config_push
