#pragma once

#include <muster/core/error.hpp>

#include <string>
#include <vector>

namespace muster::fleet {

/// One thing that is wrong in an inventory, and where.
struct InventoryProblem {
    /// The file as it was named; `<stdin>` for standard input.
    std::string file;
    /// From 1; 0 when the problem is the whole file's.
    int line = 0;
    /// From 1, in bytes.
    int column = 0;
    /// The key it is about, with its owner: `r1.port`; empty when it is not about a key.
    std::string field;
    /// What is wrong and, where known, the remedy. Never holds a secret.
    std::string message;

    friend bool operator==(const InventoryProblem&, const InventoryProblem&) = default;
};

/// `file:line:column: field: message`, as compilers print it.
[[nodiscard]] std::string to_string(const InventoryProblem& problem);

/// An inventory can't be used. `what()` has one line for each problem found, in the order of the
/// file, so that a user mends all of them at once.
class InventoryError : public Error {
public:
    /// `problems` must not be empty.
    explicit InventoryError(std::vector<InventoryProblem> problems);

    [[nodiscard]] const std::vector<InventoryProblem>& problems() const noexcept {
        return problems_;
    }

private:
    std::vector<InventoryProblem> problems_;
};

} // namespace muster::fleet
