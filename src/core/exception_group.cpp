#include <muster/core/exception_group.hpp>

namespace muster {

namespace {

std::string describe(const std::string& message, const std::vector<std::exception_ptr>& errors) {
    std::string text = message + " (" + std::to_string(errors.size()) +
                       (errors.size() == 1 ? " sub-exception)" : " sub-exceptions)");
    for (const std::exception_ptr& error : errors) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& known) {
            text += std::string("; ") + known.what();
        } catch (...) {
            text += "; not derived from std::exception";
        }
    }
    return text;
}

} // namespace

ExceptionGroup::ExceptionGroup(const std::string& message,
                               std::vector<std::exception_ptr> exceptions)
    : Error(describe(message, exceptions)), exceptions_(std::move(exceptions)) {}

} // namespace muster
