#include "net/read_buffer.hpp"

#include <muster/core/error.hpp>

#include <algorithm>
#include <utility>

namespace muster::detail {

void ReadBuffer::append(std::string_view bytes) {
    if (begin_ > 0 && begin_ >= bytes_.size() / 2) {
        bytes_.erase(0, begin_);
        begin_ = 0;
    }
    bytes_.append(bytes);
}

std::string ReadBuffer::take(std::size_t count) {
    if (begin_ == 0 && count >= bytes_.size()) {
        return std::exchange(bytes_, {});
    }
    std::string taken = bytes_.substr(begin_, count);
    drop(taken.size());
    return taken;
}

void ReadBuffer::drop(std::size_t count) noexcept {
    begin_ += count;
    if (begin_ == bytes_.size()) {
        // The memory goes, too: a connection may be idle for long.
        bytes_ = std::string();
        begin_ = 0;
    }
}

SeparatorSearch::SeparatorSearch(std::vector<std::string> separators)
    : separators_(std::move(separators)) {
    if (separators_.empty()) {
        throw ValueError("readuntil() needs at least one separator");
    }
    std::ranges::sort(separators_, {}, &std::string::size);
    if (separators_.front().empty()) {
        throw ValueError("a separator needs at least one byte");
    }
}

std::optional<SeparatorSearch::Match> SeparatorSearch::find(std::string_view buffer) {
    std::optional<Match> first;
    for (const std::string& separator : separators_) {
        // Only an end before the best so far counts.
        const std::string_view where = first ? buffer.substr(0, first->end - 1) : buffer;
        const std::size_t begin = where.find(separator, searched_);
        if (begin != std::string_view::npos) {
            first = Match{begin, begin + separator.size()};
        }
    }
    if (!first && buffer.size() >= separators_.back().size()) {
        searched_ = std::max(searched_, buffer.size() + 1 - separators_.back().size());
    }
    return first;
}

} // namespace muster::detail
