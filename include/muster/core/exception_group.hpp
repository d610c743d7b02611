#pragma once

#include <muster/core/error.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace muster {

/// Several exceptions at once (Python's ExceptionGroup), in the order they happened.
class ExceptionGroup : public Error {
public:
    ExceptionGroup(const std::string& message, std::vector<std::exception_ptr> exceptions);

    [[nodiscard]] const std::vector<std::exception_ptr>& exceptions() const noexcept {
        return exceptions_;
    }

    /// Whether any is an E, in nested groups too.
    template <class E>
    [[nodiscard]] bool contains() const {
        for (const std::exception_ptr& error : exceptions_) {
            try {
                std::rethrow_exception(error);
            } catch (const E&) {
                return true;
            } catch (const ExceptionGroup& group) {
                if (group.contains<E>()) {
                    return true;
                }
            } catch (...) {
                continue;
            }
        }
        return false;
    }

    /// Those that are an E and the others, as two lists; nested groups are looked into.
    template <class E>
    [[nodiscard]] std::pair<std::vector<std::exception_ptr>, std::vector<std::exception_ptr>>
    split() const {
        std::pair<std::vector<std::exception_ptr>, std::vector<std::exception_ptr>> parts;
        for (const std::exception_ptr& error : exceptions_) {
            try {
                std::rethrow_exception(error);
            } catch (const E&) {
                parts.first.push_back(error);
            } catch (const ExceptionGroup& group) {
                auto inner = group.split<E>();
                parts.first.insert(parts.first.end(), inner.first.begin(), inner.first.end());
                parts.second.insert(parts.second.end(), inner.second.begin(), inner.second.end());
            } catch (...) {
                parts.second.push_back(error);
            }
        }
        return parts;
    }

    /// Calls `visit(std::exception_ptr)` for each, nested ones too.
    template <class F>
    void for_each(F&& visit) const {
        for (const std::exception_ptr& error : exceptions_) {
            try {
                std::rethrow_exception(error);
            } catch (const ExceptionGroup& group) {
                group.for_each(visit);
            } catch (...) {
                visit(error);
            }
        }
    }

    /// Throws the exception itself when it is the only one.
    void rethrow_if_single() const {
        if (exceptions_.size() == 1) {
            std::rethrow_exception(exceptions_.front());
        }
    }

private:
    std::vector<std::exception_ptr> exceptions_;
};

} // namespace muster
