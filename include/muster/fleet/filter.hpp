#pragma once

#include <muster/core/error.hpp>
#include <muster/device/device.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace muster::fleet {

/// A filter can't be understood, or names what no device has. `what()` shows the expression with a
/// caret below the place.
class FilterError : public Error {
public:
    FilterError(const std::string& reason, std::string_view expression, std::size_t position);

    /// Byte offset of the place in the expression.
    [[nodiscard]] std::size_t position() const noexcept { return position_; }

private:
    std::size_t position_;
};

namespace detail {
struct FilterNode;
} // namespace detail

/// A choice of devices: `role:edge and not (site:ams or name:lab-*)`.
///
/// - `FIELD:VALUE`; the fields are `name`, `host`, `port`, `group`, `platform`, `transport` and
///   `username`. Any other field is looked up in the device's data, with dots for nesting
///   (`rack.row:7`); `data.name` reaches a fact that has a field's name.
/// - A value is compared as text, letter case counts; `*`, `?` and `[abc]` match as in a shell.
///   Of a list, any element may match. `FIELD:*` is true where the field is set.
/// - A word alone is a device's name: `core-1 or edge-*`.
/// - `not` binds closest, then `and`, then `or`; quotes keep blanks and parentheses.
class Filter {
public:
    /// Throws FilterError.
    [[nodiscard]] static Filter parse(std::string_view expression);

    [[nodiscard]] bool matches(const device::Device& device) const;

    /// Throws FilterError if the expression names a field that none of `devices` has, or a group
    /// without a pattern character in which none of them is.
    void check_against(const std::vector<device::Device>& devices) const;

private:
    Filter(std::string expression, std::shared_ptr<const detail::FilterNode> root);

    std::string expression_;
    std::shared_ptr<const detail::FilterNode> root_;
};

} // namespace muster::fleet
