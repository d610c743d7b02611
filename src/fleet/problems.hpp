#pragma once
/// Where things stand in the files of an inventory, and what is wrong with them.

#include <muster/fleet/inventory_error.hpp>

#include <memory>
#include <string>
#include <vector>

namespace muster::fleet::detail {

/// A place in a file.
struct Where {
    std::shared_ptr<const std::string> file;
    int line = 0;
    int column = 0;
};

/// Collects problems, so that one run of the program shows all of them.
class Problems {
public:
    void add(const Where& where, std::string field, std::string message);

    [[nodiscard]] bool empty() const noexcept { return problems_.empty(); }

    /// Throws InventoryError if anything was added.
    void throw_if_any() const;

private:
    std::vector<InventoryProblem> problems_;
};

/// Throws InventoryError with this one problem: for what makes reading on pointless.
[[noreturn]] void fail(const Where& where, std::string field, std::string message);

} // namespace muster::fleet::detail
