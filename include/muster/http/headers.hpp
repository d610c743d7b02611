#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace muster::http {

/// Header fields in order; names are compared without regard to case and may repeat.
class Headers {
public:
    struct Field {
        std::string name;
        std::string value;
    };

    /// For `{{"Accept", "text/html"}, ...}`.
    struct Given {
        std::string_view name;
        std::string_view value;
    };

    Headers() = default;

    /// Throws as add() does.
    Headers(std::initializer_list<Given> fields);

    /// Appends a field. Throws ValueError when the name is not a token (RFC 9110) or the value
    /// holds a control character such as a line break; the message does not show the value.
    void add(std::string_view name, std::string_view value);

    /// Replaces all fields of that name. Throws as add() does.
    void set(std::string_view name, std::string_view value);

    /// The number of fields removed.
    std::size_t erase(std::string_view name);

    /// The first field's value; null when there is none. Valid until the next change.
    [[nodiscard]] const std::string* find(std::string_view name) const noexcept;

    /// The first field's value, or `fallback`.
    [[nodiscard]] std::string get(std::string_view name, std::string_view fallback = {}) const;

    /// The values of all fields of that name, in order.
    [[nodiscard]] std::vector<std::string> get_all(std::string_view name) const;

    [[nodiscard]] bool contains(std::string_view name) const noexcept {
        return find(name) != nullptr;
    }

    [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }

    [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }

    [[nodiscard]] auto begin() const noexcept { return fields_.begin(); }

    [[nodiscard]] auto end() const noexcept { return fields_.end(); }

private:
    std::vector<Field> fields_;
};

} // namespace muster::http
