#pragma once

#include <string>
#include <utility>

namespace muster {

/// A password, passphrase or token. It has no stream operator and no implicit way back to text, so
/// that it can't reach a log or an error by accident; its memory is overwritten when it goes.
class Secret {
public:
    Secret() = default;

    /// Takes the text over. Implicit, so that options read `.password = text`.
    Secret(std::string text) : text_(std::move(text)) {}

    Secret(const char* text) : text_(text) {}

    Secret(const Secret&) = default;

    Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }

    Secret& operator=(const Secret& other) {
        if (this != &other) {
            wipe();
            text_ = other.text_;
        }
        return *this;
    }

    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            wipe();
            text_ = std::move(other.text_);
            other.wipe();
        }
        return *this;
    }

    ~Secret() { wipe(); }

    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

    /// The text itself: for the moment of use only. The reference lives as long as this object.
    [[nodiscard]] const std::string& reveal() const noexcept { return text_; }

    friend bool operator==(const Secret&, const Secret&) = default;

private:
    // Volatile writes, so that the compiler may not drop them as dead stores.
    void wipe() noexcept {
        volatile char* byte = text_.data();
        for (std::size_t i = 0; i < text_.size(); ++i) {
            byte[i] = '\0';
        }
        text_.clear();
    }

    std::string text_;
};

} // namespace muster
