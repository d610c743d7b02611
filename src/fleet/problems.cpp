#include "fleet/problems.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace muster::fleet {
namespace {

// More would scroll the first ones off the screen.
constexpr std::size_t max_shown = 20;

std::string describe(const std::vector<InventoryProblem>& problems) {
    std::string text;
    const std::size_t shown = std::min(problems.size(), max_shown);
    for (std::size_t i = 0; i < shown; ++i) {
        if (i != 0) {
            text += '\n';
        }
        text += to_string(problems[i]);
    }
    if (problems.size() > shown) {
        text += "\nand " + std::to_string(problems.size() - shown) + " more";
    }
    return text;
}

} // namespace

std::string to_string(const InventoryProblem& problem) {
    std::string text = problem.file;
    if (problem.line > 0) {
        text += ":" + std::to_string(problem.line);
        if (problem.column > 0) {
            text += ":" + std::to_string(problem.column);
        }
    }
    text += ": ";
    if (!problem.field.empty()) {
        text += problem.field + ": ";
    }
    return text + problem.message;
}

InventoryError::InventoryError(std::vector<InventoryProblem> problems)
    : Error(describe(problems)), problems_(std::move(problems)) {}

namespace detail {

namespace {

InventoryProblem problem_at(const Where& where, std::string field, std::string message) {
    return {where.file ? *where.file : std::string{}, where.line, where.column, std::move(field),
            std::move(message)};
}

} // namespace

void Problems::add(const Where& where, std::string field, std::string message) {
    problems_.push_back(problem_at(where, std::move(field), std::move(message)));
}

void Problems::throw_if_any() const {
    if (problems_.empty()) {
        return;
    }
    // A group's mistake is found once for every device which inherits it.
    std::vector<InventoryProblem> sorted = problems_;
    std::sort(sorted.begin(), sorted.end(),
              [](const InventoryProblem& a, const InventoryProblem& b) {
                  return std::tie(a.file, a.line, a.column, a.field, a.message) <
                         std::tie(b.file, b.line, b.column, b.field, b.message);
              });
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    throw InventoryError(std::move(sorted));
}

void fail(const Where& where, std::string field, std::string message) {
    throw InventoryError({problem_at(where, std::move(field), std::move(message))});
}

} // namespace detail
} // namespace muster::fleet
