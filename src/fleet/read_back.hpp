#pragma once

#include <muster/core/coro.hpp>
#include <muster/device/cli.hpp>
#include <muster/device/config_text.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace muster::fleet {

/// The running configuration; empty where the platform shows none.
Coro<std::string> read_config(device::Cli& cli);

/// Whether two running configurations say the same: the frame that devices put around them (size,
/// date of the last change, comments) is left aside.
[[nodiscard]] bool same_config(std::string_view before, std::string_view after);

/// Whether the line at `index` of `config`, whose answer never came, was applied, by what the
/// device held before (empty: not known) and holds now. Nothing when that can't be told: a line
/// that takes something away, leaves a mode, spans several lines, may be shown otherwise than it
/// was typed, or is shown where it can't be told whether that is its place.
[[nodiscard]] std::optional<bool> line_applied(const device::ConfigText& config, std::size_t index,
                                               std::string_view before, std::string_view after);

} // namespace muster::fleet
