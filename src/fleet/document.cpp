#include "fleet/document.hpp"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace muster::fleet::detail {
namespace {

constexpr std::string_view merge_key = "<<";

// Tags which say what is the case anyhow.
bool is_standard_tag(const std::string& tag) {
    return tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str" ||
           tag == "tag:yaml.org,2002:map" || tag == "tag:yaml.org,2002:seq";
}

// Builds the tree from the parser's events. yaml-cpp's own YAML::Node is not used: it drops
// duplicate keys' places, and it does not resolve merge keys.
class TreeBuilder final : public YAML::EventHandler {
public:
    TreeBuilder(std::shared_ptr<const std::string> file, Problems& problems)
        : file_(std::move(file)), problems_(&problems) {
        empty_->where = {file_, 1, 1};
    }

    [[nodiscard]] NodePtr root() const { return root_; }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0) {
            fail(at(mark), {},
                 "a second YAML document begins here; an inventory is one YAML or JSON document");
        }
    }

    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        auto node = std::make_shared<TreeNode>();
        node->where = at(mark);
        add(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) {
            fail(at(mark), {}, "an alias inside of what it refers to");
        }
        place(found->second, at(mark));
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        auto node = std::make_shared<TreeNode>();
        node->kind = TreeNode::Kind::text;
        node->where = at(mark);
        node->text = value;
        node->plain = tag == "?";
        if (!is_standard_tag(tag)) {
            node->tag = tag;
        }
        add(std::move(node), anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(TreeNode::Kind::list, mark, tag, anchor);
    }

    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(TreeNode::Kind::map, mark, tag, anchor);
    }

    void OnMapEnd() override {
        merge(*stack_.back().node);
        close();
    }

private:
    struct Frame {
        std::shared_ptr<TreeNode> node;
        YAML::anchor_t anchor = 0;
        // A mapping's key that waits for its value.
        std::optional<Entry> pending;
        // The mapping's keys and their lines: an inventory has tens of thousands.
        std::unordered_map<std::string, int> seen;
    };

    [[nodiscard]] Where at(const YAML::Mark& mark) const {
        return {file_, mark.line + 1, mark.column + 1};
    }

    void open(TreeNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
              YAML::anchor_t anchor) {
        if (!is_standard_tag(tag)) {
            fail(at(mark), {}, "the tag " + tag + " is not known");
        }
        auto node = std::make_shared<TreeNode>();
        node->kind = kind;
        node->where = at(mark);
        stack_.push_back({std::move(node), anchor, {}, {}});
    }

    void close() {
        Frame frame = std::move(stack_.back());
        stack_.pop_back();
        add(std::move(frame.node), frame.anchor);
    }

    void add(std::shared_ptr<TreeNode> node, YAML::anchor_t anchor) {
        if (anchor != 0) {
            anchors_[anchor] = node;
        }
        const Where where = node->where;
        place(std::move(node), where);
    }

    void place(NodePtr node, const Where& where) {
        if (stack_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame& frame = stack_.back();
        if (frame.node->is_list()) {
            frame.node->items.push_back(std::move(node));
        } else if (!frame.pending) {
            if (!node->is_text()) {
                fail(where, {},
                     "a key must be text, and this is " + std::string(node->kind_name()));
            }
            frame.pending = Entry{node->text, where, nullptr};
        } else {
            Entry entry = std::move(*frame.pending);
            frame.pending.reset();
            entry.value = std::move(node);
            const auto [earlier, is_new] = frame.seen.emplace(entry.key, entry.key_where.line);
            if (is_new) {
                frame.node->entries.push_back(std::move(entry));
            } else {
                problems_->add(entry.key_where, entry.key,
                               "duplicate key; it stands in line " +
                                   std::to_string(earlier->second) + " already");
            }
        }
    }

    // `<<: *base` or `<<: [*first, *second]`: own keys win, then earlier sources.
    void merge(TreeNode& map) const {
        for (std::size_t i = 0; i < map.entries.size(); ++i) {
            if (map.entries[i].key != merge_key) {
                continue;
            }
            const Entry merged = std::move(map.entries[i]);
            map.entries.erase(map.entries.begin() + static_cast<std::ptrdiff_t>(i));
            const std::vector<NodePtr> sources =
                merged.value->is_list() ? merged.value->items : std::vector<NodePtr>{merged.value};
            for (const NodePtr& source : sources) {
                if (!source->is_map()) {
                    fail(merged.key_where, std::string(merge_key),
                         "only mappings can be merged, and this is " +
                             std::string(source->kind_name()));
                }
                for (const Entry& entry : source->entries) {
                    if (map.find(entry.key) == nullptr) {
                        map.entries.push_back(entry);
                    }
                }
            }
            return;
        }
    }

    std::shared_ptr<const std::string> file_;
    Problems* problems_;
    std::vector<Frame> stack_;
    std::map<YAML::anchor_t, NodePtr> anchors_;
    std::shared_ptr<TreeNode> empty_ = std::make_shared<TreeNode>();
    NodePtr root_ = empty_;
    int documents_ = 0;
};

// The four hexadecimal digits of a JSON escape `\uXXXX` at `text[at]`, or nothing.
std::optional<unsigned> unicode_escape(std::string_view text, std::size_t at) {
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') {
        return std::nullopt;
    }
    unsigned code = 0;
    const char* end = text.data() + at + 6;
    const auto [stop, error] = std::from_chars(text.data() + at + 2, end, code, 16);
    if (error != std::errc{} || stop != end) {
        return std::nullopt;
    }
    return code;
}

// JSON writes characters beyond the basic plane as two escapes (a surrogate pair), YAML as one
// `\UXXXXXXXX`: the one place where JSON is not YAML for the parser.
std::string join_surrogates(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    std::size_t i = 0;
    while (i < text.size()) {
        const auto high = unicode_escape(text, i);
        const auto low = high ? unicode_escape(text, i + 6) : std::nullopt;
        if (high && low && *high >= 0xD800 && *high < 0xDC00 && *low >= 0xDC00 && *low < 0xE000) {
            const unsigned code = 0x10000 + ((*high - 0xD800) << 10) + (*low - 0xDC00);
            std::array<char, 11> escape{};
            std::snprintf(escape.data(), escape.size(), "\\U%08X", code);
            result += escape.data();
            i += 12;
        } else if (text[i] == '\\' && i + 1 < text.size()) {
            // An escaped backslash must not begin an escape itself.
            result += text.substr(i, 2);
            i += 2;
        } else {
            result += text[i++];
        }
    }
    return result;
}

bool looks_like_json(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
}

// The parser quotes the character it stumbled over.
std::string printable(std::string text) {
    std::replace_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

std::string_view line_of(std::string_view text, int line) {
    for (; line > 0 && !text.empty(); --line) {
        const std::size_t end = text.find('\n');
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return text.substr(0, text.find('\n'));
}

// What to do about a syntax error, where its cause can be told.
std::string remedy(std::string_view text, int line) {
    if (line_of(text, line).starts_with('\t')) {
        return " (YAML is indented with blanks, not tabs)";
    }
    if (text.find(" ansible_") != std::string_view::npos) {
        return " (of an Ansible inventory, give what 'ansible-inventory --list' prints)";
    }
    return {};
}

} // namespace

const TreeNode* TreeNode::find(std::string_view key) const noexcept {
    for (const Entry& entry : entries) {
        if (entry.key == key) {
            return entry.value.get();
        }
    }
    return nullptr;
}

std::string_view TreeNode::kind_name() const noexcept {
    switch (kind) {
    case Kind::null:
        return "empty";
    case Kind::text:
        return "text";
    case Kind::list:
        return "a list";
    case Kind::map:
        return "a mapping";
    }
    return "unknown";
}

NodePtr parse_document(std::string_view text, const std::string& file, Problems& problems) {
    auto name = std::make_shared<const std::string>(file);
    TreeBuilder builder(name, problems);
    std::istringstream stream(looks_like_json(text) ? join_surrogates(text) : std::string(text));
    try {
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
    } catch (const YAML::DeepRecursion& error) {
        fail({name, error.mark.line + 1, error.mark.column + 1}, {}, "is nested too deeply");
    } catch (const YAML::Exception& error) {
        fail({name, error.mark.line + 1, error.mark.column + 1}, {},
             printable(error.msg) + remedy(text, error.mark.line));
    }
    return builder.root();
}

} // namespace muster::fleet::detail
