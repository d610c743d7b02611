#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::detail {

/// Bytes that have come and were not read yet.
class ReadBuffer {
public:
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - begin_; }

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    [[nodiscard]] std::string_view view() const noexcept {
        return std::string_view(bytes_).substr(begin_);
    }

    void append(std::string_view bytes);

    /// Takes the first `count` bytes out; all, when there are fewer.
    std::string take(std::size_t count);

    /// Drops the first `count` bytes; only when there are as many.
    void drop(std::size_t count) noexcept;

    void clear() noexcept { drop(size()); }

private:
    std::string bytes_;
    std::size_t begin_ = 0; // what is before it was taken
};

/// Looks for separators in a buffer that grows, without looking twice at what has none.
class SeparatorSearch {
public:
    /// Throws ValueError when there is no separator, or an empty one.
    explicit SeparatorSearch(std::vector<std::string> separators);

    struct Match {
        std::size_t begin;
        std::size_t end;
    };

    /// The separator that ends first; of several that end there, the shortest.
    std::optional<Match> find(std::string_view buffer);

    /// No separator begins before it.
    [[nodiscard]] std::size_t searched() const noexcept { return searched_; }

private:
    std::vector<std::string> separators_; // shortest first
    std::size_t searched_ = 0;
};

} // namespace muster::detail
