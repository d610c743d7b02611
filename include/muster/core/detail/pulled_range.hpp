#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

namespace muster::detail {

/// Makes an input range of a class that has `std::optional<Value> next()`. The first element is
/// pulled by `begin()`, each further one by `++`, so what `next()` throws comes out there.
template <class Derived, class Value>
class PulledRange {
public:
    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = Value;
        using difference_type = std::ptrdiff_t;

        // NOLINTNEXTLINE(bugprone-unchecked-optional-access): no element is read at the end
        Value& operator*() const { return *range_->current_; }

        iterator& operator++() {
            range_->pull();
            return *this;
        }

        void operator++(int) { range_->pull(); }

        bool operator==(std::default_sentinel_t) const { return !range_->current_.has_value(); }

    private:
        friend class PulledRange;

        explicit iterator(PulledRange& range) : range_(&range) {}

        PulledRange* range_;
    };

    /// Waits for the first element.
    iterator begin() {
        pull();
        return iterator(*this);
    }

    std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend Derived;

    PulledRange() = default;
    PulledRange(const PulledRange&) = delete;
    PulledRange& operator=(const PulledRange&) = delete;
    ~PulledRange() = default;

    void pull() {
        current_.reset();
        std::optional<Value> next = static_cast<Derived*>(this)->next();
        if (next) {
            current_.emplace(*std::move(next));
        }
    }

    std::optional<Value> current_;
};

} // namespace muster::detail
