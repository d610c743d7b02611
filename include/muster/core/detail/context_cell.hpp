#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace muster::detail {

class LoopCore;
class TaskBase;

/// The values of context variables. Never changed once others can see it, so that a snapshot is a
/// copy of a pointer.
struct ContextValues {
    struct Entry {
        std::uint64_t variable;
        std::shared_ptr<const void> value;
    };

    std::vector<Entry> entries;

    [[nodiscard]] const std::shared_ptr<const void>* find(std::uint64_t variable) const noexcept;
};

/// Whether a variable was ever given a value, on any thread: until then there is nothing to look up
/// or to hand on.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
inline std::atomic<bool> context_values_exist = false;

/// What a Context refers to: the values of now. Counted across threads: to_thread() takes one over,
/// which is why it does not come from the pool, that of a thread which never makes any would fill
/// up.
class ContextCell {
public:
    ContextCell() = default;

    explicit ContextCell(std::shared_ptr<const ContextValues> initial) noexcept
        : values(std::move(initial)) {}

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            delete this;
        }
    }

    std::shared_ptr<const ContextValues> values;
    bool entered = false; ///< by Context::run

private:
    std::atomic<std::uint32_t> references_ = 0;
};

/// An owner of a cell; null means a context in which nothing was set, at no cost.
class ContextRef {
public:
    ContextRef() noexcept = default;

    explicit ContextRef(ContextCell* cell) noexcept : cell_(cell) {
        if (cell_ != nullptr) {
            cell_->retain();
        }
    }

    ContextRef(const ContextRef& other) noexcept : ContextRef(other.cell_) {}

    ContextRef(ContextRef&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}

    ContextRef& operator=(ContextRef other) noexcept {
        std::swap(cell_, other.cell_);
        return *this;
    }

    ~ContextRef() {
        if (cell_ != nullptr) {
            cell_->release();
        }
    }

    [[nodiscard]] ContextCell* get() const noexcept { return cell_; }

    ContextCell* operator->() const noexcept { return cell_; }

    explicit operator bool() const noexcept { return cell_ != nullptr; }

    /// The cell, made when there was none.
    ContextCell& ensure();

private:
    ContextCell* cell_ = nullptr;
};

/// Where the context of what runs now is kept: its task, a callback, or this thread.
[[nodiscard]] ContextRef& current_context() noexcept;

/// A context of its own with the values of now.
[[nodiscard]] ContextRef copy_current_context();

/// The same; null when nothing was set.
[[nodiscard]] inline ContextRef snapshot_context() {
    return context_values_exist.load(std::memory_order_relaxed) ? copy_current_context()
                                                                : ContextRef();
}

/// The context of now itself, made when nothing was set yet.
[[nodiscard]] ContextRef shared_context();

/// What runs on this thread while it is alive, tasks apart, sees `context`.
class ContextScope {
public:
    explicit ContextScope(ContextRef context) noexcept;
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;
    ~ContextScope();

private:
    friend ContextRef& current_context() noexcept;

    ContextRef context_;
    // A task that runs inside, on a loop of this thread, has a context of its own.
    const LoopCore* loop_;
    const TaskBase* task_;
    ContextScope* outer_;
};

} // namespace muster::detail
