#pragma once

#include <muster/core/secret.hpp>

#include <span>
#include <string>
#include <string_view>

namespace muster::device {

/// The text with its secrets replaced by `***`: every occurrence of one of `secrets`, and on each
/// line what follows a word that announces one (`password`, `secret`, `community`, `key 7`,
/// `pre-shared-key`, `auth sha`, ...), encrypted or not. Masks rather too much than too little.
[[nodiscard]] std::string redact(std::string_view text, std::span<const Secret> secrets = {});

} // namespace muster::device
