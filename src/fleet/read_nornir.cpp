#include "fleet/formats.hpp"
#include "fleet/level_reader.hpp"
#include "fleet/suggest.hpp"

namespace muster::fleet::detail {
namespace {

void read_levels(std::vector<Level>& levels, Source& source, const TreeNode& root, const char* what,
                 Problems& problems) {
    if (root.is_null()) {
        return;
    }
    if (!root.is_map()) {
        problems.add(root.where, what,
                     "must be a mapping of names, and this is " + std::string(root.kind_name()));
        return;
    }
    const LevelReader reader(source, problems);
    for (const Entry& entry : root.entries) {
        levels.push_back(reader.read(entry.key, entry.key_where, *entry.value));
    }
}

} // namespace

void read_nornir_hosts(Source& source, const TreeNode& root, Problems& problems) {
    read_levels(source.hosts, source, root, "hosts", problems);
}

void read_nornir_groups(Source& source, const TreeNode& root, Problems& problems) {
    read_levels(source.groups, source, root, "groups", problems);
}

void read_nornir_defaults(Source& source, const TreeNode& root, Problems& problems) {
    source.defaults = LevelReader(source, problems).read("defaults", root.where, root);
    for (const GroupName& group : source.defaults.groups) {
        problems.add(group.where, group.field, "the defaults can't be in a group");
    }
}

void read_combined(Source& source, const TreeNode& root, Problems& problems) {
    for (const Entry& entry : root.entries) {
        if (entry.key == "hosts") {
            read_nornir_hosts(source, *entry.value, problems);
        } else if (entry.key == "groups") {
            read_nornir_groups(source, *entry.value, problems);
        } else if (entry.key == "defaults") {
            read_nornir_defaults(source, *entry.value, problems);
        } else {
            problems.add(entry.key_where, entry.key,
                         "unknown key" + did_you_mean(entry.key, {"hosts", "groups", "defaults"}) +
                             "; beside 'hosts' stand 'groups' and 'defaults'");
        }
    }
}

} // namespace muster::fleet::detail
