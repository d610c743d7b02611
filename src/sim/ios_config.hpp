#pragma once
// The configuration a virtual IOS device holds: lines and sections in the order IOS shows them.

#include "ios_rules.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace muster::sim {

using Words = std::vector<std::string>;

std::string join(const Words& words);

/// A configuration line; a section when it has been entered.
struct ConfigLine {
    Words words;
    std::size_t key = 0; ///< how many words identify it; 0: all of them
    int rank = 0;        ///< place among its siblings
    bool negated = false;
    bool section = false;
    std::string tail; ///< raw text after the words: a banner with its delimiters
    std::vector<ConfigLine> children;
};

/// A tree of lines. A section is named by the words of the lines that lead to it, so that a name
/// stays valid when another session removes the section.
class IosConfig {
public:
    using Path = std::vector<Words>;

    /// The section, or nullptr.
    [[nodiscard]] const ConfigLine* find(const Path& path) const;

    /// Puts `line` into the section `path` (made if it is gone); replaces the line with the same
    /// identity. A section that exists keeps its lines.
    void set(const Path& path, ConfigLine line);

    /// Removes every line of the section that starts with `words`, or has their identity.
    bool erase(const Path& path, const Words& words, std::size_t key, bool only_negated = false);

    [[nodiscard]] const std::vector<ConfigLine>& lines() const { return root_.children; }

    /// The text from `version` to `end`, lines ended by '\n'.
    [[nodiscard]] std::string text() const;

    /// A section's text; empty if there is none.
    [[nodiscard]] std::string text(const Path& path) const;

private:
    ConfigLine& section(const Path& path);

    ConfigLine root_;
};

} // namespace muster::sim
