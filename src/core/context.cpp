#include <muster/core/context.hpp>
#include <muster/core/detail/loop_core.hpp>
#include <muster/core/detail/task_base.hpp>

#include <algorithm>
#include <atomic>

namespace muster {
namespace detail {

namespace {

constinit thread_local ContextScope* innermost_scope = nullptr;

const TaskBase* task_of(const LoopCore* loop) noexcept {
    return loop != nullptr ? loop->current_task : nullptr;
}

// What is set outside of tasks and callbacks.
ContextRef& thread_context() noexcept {
    static thread_local ContextRef context;
    return context;
}

} // namespace

const std::shared_ptr<const void>* ContextValues::find(std::uint64_t variable) const noexcept {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const Entry& entry) { return entry.variable == variable; });
    return found != entries.end() ? &found->value : nullptr;
}

ContextCell& ContextRef::ensure() {
    if (cell_ == nullptr) {
        *this = ContextRef(new ContextCell());
    }
    return *cell_;
}

ContextScope::ContextScope(ContextRef context) noexcept
    : context_(std::move(context)),
      loop_(LoopCore::current()),
      task_(task_of(loop_)),
      outer_(std::exchange(innermost_scope, this)) {}

ContextScope::~ContextScope() { innermost_scope = outer_; }

ContextRef& current_context() noexcept {
    const LoopCore* loop = LoopCore::current();
    const TaskBase* task = task_of(loop);
    ContextScope* scope = innermost_scope;
    if (scope != nullptr && scope->loop_ == loop && scope->task_ == task) {
        return scope->context_;
    }
    return task != nullptr ? loop->current_task->context() : thread_context();
}

ContextRef copy_current_context() {
    const ContextRef& context = current_context();
    if (!context || context->values == nullptr) {
        return {};
    }
    return ContextRef(new ContextCell(context->values));
}

ContextRef shared_context() { return ContextRef(&current_context().ensure()); }

std::uint64_t next_context_variable() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

std::shared_ptr<const void> context_value(std::uint64_t variable) noexcept {
    const ContextRef& context = current_context();
    if (!context || context->values == nullptr) {
        return nullptr;
    }
    const std::shared_ptr<const void>* value = context->values->find(variable);
    return value != nullptr ? *value : nullptr;
}

std::shared_ptr<const void> set_context_value(std::uint64_t variable,
                                              std::shared_ptr<const void> value) {
    ContextCell& cell = current_context().ensure();
    auto values = cell.values != nullptr ? std::make_shared<ContextValues>(*cell.values)
                                         : std::make_shared<ContextValues>();
    std::shared_ptr<const void> old;
    const auto found =
        std::find_if(values->entries.begin(), values->entries.end(),
                     [&](const ContextValues::Entry& entry) { return entry.variable == variable; });
    if (found != values->entries.end()) {
        old = std::move(found->value);
        if (value != nullptr) {
            found->value = std::move(value);
        } else {
            values->entries.erase(found);
        }
    } else if (value != nullptr) {
        values->entries.push_back({variable, std::move(value)});
    }
    cell.values = std::move(values);
    context_values_exist.store(true, std::memory_order_relaxed);
    return old;
}

void throw_no_context_value(const std::string& name) {
    throw LookupError("ContextVar '" + name + "' has no value here, and no default");
}

} // namespace detail

Context::Entry::Entry(const detail::ContextRef& cell) : cell_(cell) {
    if (cell_->entered) {
        throw RuntimeError("cannot enter this Context: it is entered already");
    }
    cell_->entered = true;
    scope_.emplace(cell_);
}

Context::Entry::~Entry() {
    scope_.reset();
    cell_->entered = false;
}

Context copy_context() {
    const detail::ContextRef& context = detail::current_context();
    return Context(detail::ContextRef(new detail::ContextCell(
        context ? context->values : std::shared_ptr<const detail::ContextValues>())));
}

} // namespace muster
