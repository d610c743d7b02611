#pragma once
/// Helpers for tests of inventories.

#include <muster/fleet/inventory.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fleet_test {

/// A folder of its own for one test; it is removed with the object.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "fleet-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("no temporary folder");
        }
        path_ = pattern;
    }

    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    /// Writes a file and gives its path.
    [[nodiscard]] std::string write(const std::string& name, std::string_view text) const {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
        return file.string();
    }

    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

/// What Inventory::parse has against `text`; "" if nothing. The file is called `inv`.
inline std::string error_of(std::string_view text) {
    try {
        (void)muster::fleet::Inventory::parse(text, "inv");
        return {};
    } catch (const muster::fleet::InventoryError& error) {
        return error.what();
    }
}

/// The only device of `text`.
inline muster::device::Device only_device(std::string_view text) {
    const auto inventory = muster::fleet::Inventory::parse(text, "inv");
    if (inventory.size() != 1) {
        throw std::runtime_error("expected one device");
    }
    return inventory.devices().front();
}

} // namespace fleet_test
