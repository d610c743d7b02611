// config-push: the same configuration lines to many devices at once.

#include "demo.hpp"
#include "options.hpp"
#include "password.hpp"
#include "report.hpp"
#include "run.hpp"

#include <muster/device/config_text.hpp>
#include <muster/fleet/filter.hpp>
#include <muster/fleet/inventory.hpp>
#include <muster/muster.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

namespace {

using namespace config_push;

std::string read_config_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) {
        text << file.rdbuf();
    }
    if (!file || file.bad()) {
        throw muster::ValueError(path +
                                 ": cannot be read: " + std::generic_category().message(errno));
    }
    return text.str();
}

// Everything that can be wrong is found out here, before the first connection.
muster::fleet::Inventory load_inventory(const Options& options) {
    muster::fleet::LoadOptions defaults;
    defaults.username = options.username;
    defaults.password = programs::read_password(options.password_from);
    auto inventory = muster::fleet::Inventory::load(options.inventory, defaults);
    for (const std::string& warning : inventory.warnings()) {
        fmt::print(stderr, "config-push: {}\n", warning);
    }
    if (!options.filter.empty()) {
        inventory = inventory.filter(options.filter);
    }
    if (inventory.empty()) {
        throw muster::ValueError(options.inventory + (options.filter.empty()
                                                          ? ": no devices"
                                                          : ": no device matches the filter"));
    }
    return inventory;
}

int push(const Options& options) {
    const muster::fleet::Inventory inventory = load_inventory(options);
    const std::string text = read_config_file(options.config);
    RunResult result = muster::run(run_push(inventory.devices(), text, options.config, options),
                                   {.debug = {}, .handle_sigint = false});
    switch (options.output) {
    case Output::table:
        print_table(result.reports, result.reports.size());
        fmt::print("\n{}\n", summary_line(result.reports, result.elapsed));
        break;
    case Output::json:
        print_json(result.reports, result.elapsed);
        break;
    case Output::ndjson: // printed as they came
        break;
    }
    return result.signal != 0 ? 128 + result.signal : exit_status(result.reports);
}

} // namespace

int main(int argc, char** argv) {
    const auto parsed = parse_options(argc, argv);
    if (const int* status = std::get_if<int>(&parsed)) {
        return *status;
    }
    const auto& options = std::get<Options>(parsed);
    try {
        return options.demo ? run_demo(options) : push(options);
    } catch (const muster::Error& error) {
        fmt::print(stderr, "config-push: {}\nnothing was sent\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        fmt::print(stderr, "config-push: {}\n", error.what());
        return 1;
    }
}
