#pragma once
// The texts of the virtual IOS's show commands.

#include "ios_rules.hpp"
#include "ios_state.hpp"

#include <string>
#include <string_view>

namespace muster::sim {

/// The output of a show command, lines ended by '\n'. `argument` is the interface, where one is
/// asked for; `user` and `privileged` describe the session.
std::string show(const IosState& state, Command command, const std::string& argument,
                 const std::string& user, bool privileged);

/// Applies the output modifier after `|`: `include`, `exclude`, `begin`, `section` and `count`,
/// abbreviated or not, with a regular expression. False if it is none of these.
bool filter_output(std::string& text, std::string_view modifier);

} // namespace muster::sim
