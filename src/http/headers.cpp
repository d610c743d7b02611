#include "text.hpp"

#include <muster/core/error.hpp>
#include <muster/http/headers.hpp>

#include <algorithm>

namespace muster::http {

namespace {

// A line break in a name or value would let its author write header fields, or requests, of his
// own.
void check(std::string_view name, std::string_view value) {
    if (!detail::is_token(name)) {
        throw ValueError("\"" + detail::printable(name) + "\" is not a name for a header field");
    }
    const bool control = std::ranges::any_of(value, [](char c) {
        return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
    });
    if (control) {
        throw ValueError("the value of the header field " + std::string(name) +
                         " holds a control character, such as a line break");
    }
}

} // namespace

Headers::Headers(std::initializer_list<Given> fields) {
    fields_.reserve(fields.size());
    for (const Given& field : fields) {
        add(field.name, field.value);
    }
}

void Headers::add(std::string_view name, std::string_view value) {
    check(name, value);
    fields_.push_back({std::string(name), std::string(value)});
}

void Headers::set(std::string_view name, std::string_view value) {
    check(name, value);
    Field field{std::string(name), std::string(value)}; // they may point into what is erased
    erase(field.name);
    fields_.push_back(std::move(field));
}

std::size_t Headers::erase(std::string_view name) {
    return std::erase_if(
        fields_, [&](const Field& field) { return detail::equal_ignoring_case(field.name, name); });
}

const std::string* Headers::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find_if(
        fields_, [&](const Field& field) { return detail::equal_ignoring_case(field.name, name); });
    return found == fields_.end() ? nullptr : &found->value;
}

std::string Headers::get(std::string_view name, std::string_view fallback) const {
    const std::string* value = find(name);
    return value != nullptr ? *value : std::string(fallback);
}

std::vector<std::string> Headers::get_all(std::string_view name) const {
    std::vector<std::string> values;
    for (const Field& field : fields_) {
        if (detail::equal_ignoring_case(field.name, name)) {
            values.push_back(field.value);
        }
    }
    return values;
}

} // namespace muster::http
