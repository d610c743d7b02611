#pragma once
/// Mappings of an inventory into levels, key by key.

#include "fleet/keys.hpp"
#include "fleet/level.hpp"

#include <string>

namespace muster::fleet::detail {

/// Reads what netmiko, nornir and muster itself say of a device, a group or the defaults. What is
/// wrong goes to the problems; reading goes on.
class LevelReader {
public:
    /// Both must outlive the reader.
    LevelReader(Source& source, Problems& problems) : source_(&source), problems_(&problems) {}

    /// A mapping of device keys, with groups, data and connection_options. `name` also leads the
    /// paths in messages. A null node is an empty mapping.
    [[nodiscard]] Level read(const std::string& name, const Where& where,
                             const TreeNode& node) const;

    /// One value into a layer: checks its type and domain. Null is left out: it inherits.
    void read_field(Layer& layer, Field field, const TreeNode& value,
                    const std::string& path) const;

    /// A list of group names, or a single one.
    void read_groups(Level& level, const TreeNode& value, const std::string& path) const;

    /// Adds to `level.data`; anything but a mapping is a problem.
    void read_data(Level& level, const TreeNode& value, const std::string& path) const;

private:
    void read_connections(Level& level, const TreeNode& value, const std::string& path) const;
    void read_connection(Level& level, const std::string& plugin, const TreeNode& value,
                         const std::string& path) const;
    void read_extras(Layer& layer, const std::string& plugin, const TreeNode& value,
                     const std::string& path) const;
    void read_foreign(Layer& layer, std::span<const KeyRule> rules, const TreeNode& value,
                      const std::string& path, const std::string& ignored_as) const;

    Source* source_;
    Problems* problems_;
};

} // namespace muster::fleet::detail
