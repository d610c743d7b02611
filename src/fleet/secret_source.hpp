#pragma once

#include <muster/core/secret.hpp>

#include <map>
#include <string>

namespace muster::fleet::detail {

/// Turns what an inventory says of a secret into the secret: `env:NAME`, `file:PATH`, `cmd:COMMAND`
/// or `text:ANYTHING` for a text which begins like one of these; everything else is the text
/// itself. Each reference is read once, however many devices share it.
class SecretSource {
public:
    /// Relative `file:` paths start in `folder`.
    explicit SecretSource(std::string folder) : folder_(std::move(folder)) {}

    /// Throws ValueError, whose message names the reference and never what it gave.
    const Secret& resolve(const std::string& reference);

private:
    struct Answer {
        Secret secret;
        // Kept too: a vault that refuses is not asked again for each of a thousand devices.
        std::string error;
    };

    [[nodiscard]] Secret read(const std::string& reference) const;

    std::string folder_;
    std::map<std::string, Answer> answers_;
};

} // namespace muster::fleet::detail
