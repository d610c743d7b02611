#pragma once

#include <muster/fleet/push.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace config_push {

/// Whether colours and redrawn lines make sense on a stream.
[[nodiscard]] bool is_terminal(std::FILE* stream);

/// Prints a table of the devices: at most `limit` of those that went well, all that did not, with
/// reason and remedy below each.
void print_table(const std::vector<muster::fleet::PushReport>& reports, std::size_t limit);

/// `50 devices: 48 changed, 2 failed; 1.9 s, one after the other 1 min 20 s`.
[[nodiscard]] std::string summary_line(const std::vector<muster::fleet::PushReport>& reports,
                                       muster::Clock::duration elapsed);

/// One JSON document with all devices and a summary.
void print_json(const std::vector<muster::fleet::PushReport>& reports,
                muster::Clock::duration elapsed);

/// One device as a line of JSON.
void print_ndjson(const muster::fleet::PushReport& report);

/// `r7: failed after 2 of 6 lines: command: ...`, for progress that is not redrawn.
[[nodiscard]] std::string one_line(const muster::fleet::PushReport& report);

/// 0, 1 or 4: see --help.
[[nodiscard]] int exit_status(const std::vector<muster::fleet::PushReport>& reports);

} // namespace config_push
