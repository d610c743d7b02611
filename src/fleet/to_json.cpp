#include "fleet/to_json.hpp"

#include <muster/core/error.hpp>

#include <charconv>
#include <string>

namespace muster::fleet::detail {
namespace {

nlohmann::json scalar(const TreeNode& node) {
    const std::string& text = node.text;
    if (!node.tag.empty() && !node.tag.starts_with("tag:yaml.org,2002:")) {
        fail(node.where, {}, "the tag " + node.tag + " is not known");
    }
    const bool is_number_tag =
        node.tag == "tag:yaml.org,2002:int" || node.tag == "tag:yaml.org,2002:float";
    if (!node.plain && !is_number_tag) {
        return text;
    }
    if (text == "true" || text == "True" || text == "TRUE") {
        return true;
    }
    if (text == "false" || text == "False" || text == "FALSE") {
        return false;
    }
    const char* begin = text.data();
    const char* end = begin + text.size();
    std::int64_t integer = 0;
    const auto as_integer = std::from_chars(begin, end, integer);
    if (as_integer.ec == std::errc{} && as_integer.ptr == end && std::to_string(integer) == text) {
        return integer;
    }
    double number = 0;
    const auto as_number = std::from_chars(begin, end, number);
    if (as_number.ec == std::errc{} && as_number.ptr == end) {
        nlohmann::json value = number;
        if (value.dump() == text) {
            return value;
        }
    }
    return text;
}

} // namespace

nlohmann::json to_json(const TreeNode& node, std::size_t& budget) {
    if (budget == 0) {
        throw ValueError("the data is too large; are there aliases of aliases?");
    }
    --budget;
    switch (node.kind) {
    case TreeNode::Kind::null:
        return nullptr;
    case TreeNode::Kind::text:
        return scalar(node);
    case TreeNode::Kind::list: {
        nlohmann::json list = nlohmann::json::array();
        for (const NodePtr& item : node.items) {
            list.push_back(to_json(*item, budget));
        }
        return list;
    }
    case TreeNode::Kind::map: {
        nlohmann::json map = nlohmann::json::object();
        for (const Entry& entry : node.entries) {
            map[entry.key] = to_json(*entry.value, budget);
        }
        return map;
    }
    }
    return nullptr;
}

} // namespace muster::fleet::detail
