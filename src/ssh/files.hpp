#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace muster::ssh::detail {

/// An open file that closes itself.
class File {
public:
    File(const std::string& path, int flags, mode_t mode = 0);
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File();

    /// Negative when opening failed (errno says why).
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

/// The whole file; nothing where it does not exist. Throws ssh::Error when it cannot be read.
std::optional<std::string> read_file(const std::string& path);

/// What tells one version of a file from another; equal for two files that do not exist.
using FileStamp = std::array<std::int64_t, 5>;

FileStamp stamp_of(const std::string& path);

/// Throws ssh::Error: "what path: the text of the errno value".
[[noreturn]] void fail_file(const std::string& what, const std::string& path, int error,
                            const std::string& remedy = {});

/// Creates the folder that the file is to stand in, and those above it, for this user alone. Throws
/// ssh::Error.
void make_folder_of(const std::string& path, const std::string& remedy = {});

/// The path with the home folder in the place of "~" in "~/..." and "~user/...".
std::string expand_home(const std::string& path);

/// The home folder of the user who runs the program; empty when there is none.
const std::string& home_directory();

/// The name of the user who runs the program; empty when there is none.
std::string current_user();

} // namespace muster::ssh::detail
