#pragma once
/// The platforms muster ships with, one function and one file each.

#include <muster/device/platform.hpp>

namespace muster::device::builtin {

Platform cisco_ios();
Platform frr();
Platform generic();
Platform linux_shell();

} // namespace muster::device::builtin
