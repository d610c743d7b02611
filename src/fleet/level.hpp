#pragma once
/// What the files of an inventory say, before inheritance: every format is read into this.

#include "fleet/document.hpp"
#include "fleet/problems.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace muster::fleet::detail {

/// What can be said of a device, apart from its groups and data.
enum class Field : std::uint8_t {
    host,
    port,
    platform,
    transport,
    username,
    password,
    secret,
    key,
    passphrase,
    connect_timeout,
    authenticate_timeout,
    command_timeout,
    legacy_algorithms,
    verify_tls,
    ca_file,
};

/// A field's value, checked and in one spelling (`true`, milliseconds), and where it stands.
struct Value {
    std::string text;
    Where where;
    /// Its path for messages, as the user spelled it: `r1.device_type`.
    std::string field;
};

using Layer = std::map<Field, Value>;

/// A group somebody names.
struct GroupName {
    std::string name;
    Where where;
    std::string field;
};

/// nornir's connection_options of one plugin. Its values win over the host's own.
struct Connection {
    Layer fields;
    /// nornir does not merge these: the nearest level which has any gives all.
    std::optional<Layer> extras;
};

/// One host, one group, or the defaults.
struct Level {
    std::string name;
    Where where;
    Layer fields;
    std::map<std::string, Connection, std::less<>> connections;
    std::vector<GroupName> groups;
    /// The user's own facts.
    std::vector<Entry> data;
    /// No mapping at all, which is reported already: nothing can be said to be missing.
    bool is_malformed = false;
};

/// All that was read.
struct Source {
    std::vector<Level> hosts;
    std::vector<Level> groups;
    Level defaults;
    /// False where the format has no place to describe groups: they are labels then.
    bool groups_are_described = true;
    /// Keys of other tools that mean nothing here.
    std::set<std::string> ignored;
};

} // namespace muster::fleet::detail
