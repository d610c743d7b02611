#pragma once
/// A YAML or JSON file as a tree in which every piece knows its place and text stays text.

#include "fleet/problems.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace muster::fleet::detail {

struct TreeNode;
using NodePtr = std::shared_ptr<const TreeNode>;

/// One `key: value` of a mapping.
struct Entry {
    std::string key;
    Where key_where;
    NodePtr value;
};

/// A value. Anchors are resolved (an alias shares its target's node) and merge keys (`<<`) are
/// folded into `entries`, behind the mapping's own.
struct TreeNode {
    enum class Kind : std::uint8_t { null, text, list, map };

    Kind kind = Kind::null;
    Where where;
    /// Kind::text: the scalar exactly as written (`012345`, `yes`), escapes resolved.
    std::string text;
    /// Kind::text: written without quotes, so that YAML would guess a type for it.
    bool plain = false;
    /// Kind::text: an explicit tag such as `!vault`, else empty.
    std::string tag;
    std::vector<NodePtr> items;
    std::vector<Entry> entries;

    [[nodiscard]] bool is_null() const noexcept { return kind == Kind::null; }

    [[nodiscard]] bool is_text() const noexcept { return kind == Kind::text; }

    [[nodiscard]] bool is_list() const noexcept { return kind == Kind::list; }

    [[nodiscard]] bool is_map() const noexcept { return kind == Kind::map; }

    /// The value of `key` in a mapping, or nullptr.
    [[nodiscard]] const TreeNode* find(std::string_view key) const noexcept;

    /// "a list", "a mapping", "empty" or "text": for messages.
    [[nodiscard]] std::string_view kind_name() const noexcept;
};

/// Parses one YAML document; JSON is YAML. Duplicate keys are added to `problems`; what can't be
/// parsed at all throws InventoryError. An empty file gives a null node.
[[nodiscard]] NodePtr parse_document(std::string_view text, const std::string& file,
                                     Problems& problems);

} // namespace muster::fleet::detail
