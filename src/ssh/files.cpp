#include "ssh/files.hpp"

#include <muster/ssh/error.hpp>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace muster::ssh::detail {

File::File(const std::string& path, int flags, mode_t mode)
    : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}

File::~File() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void fail_file(const std::string& what, const std::string& path, int error,
               const std::string& remedy) {
    Failure failure;
    failure.kind = ErrorKind::configuration;
    failure.reason = what + " " + path + ": " + std::generic_category().message(error);
    failure.remedy = remedy;
    throw Error(std::move(failure));
}

std::optional<std::string> read_file(const std::string& path) {
    const File file(path, O_RDONLY);
    if (file.fd() < 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return std::nullopt;
        }
        fail_file("cannot read", path, errno);
    }
    std::string text;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t got = ::read(file.fd(), buffer.data(), buffer.size());
        if (got == 0) {
            return text;
        }
        if (got > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            fail_file("cannot read", path, errno);
        }
    }
}

void make_folder_of(const std::string& path, const std::string& remedy) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) {
        return;
    }
    const std::string folder = path.substr(0, slash);
    if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) {
        return;
    }
    if (errno == ENOENT) {
        make_folder_of(folder, remedy);
        if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) {
            return;
        }
    }
    fail_file("cannot create", folder, errno, remedy);
}

std::string expand_home(const std::string& path) {
    if (!path.starts_with('~')) {
        return path;
    }
    const auto slash = std::min(path.find('/'), path.size());
    if (slash == 1) {
        return home_directory() + path.substr(1);
    }
    std::array<char, 4096> buffer{};
    struct passwd record{};

    struct passwd* found = nullptr;
    const std::string user = path.substr(1, slash - 1);
    const bool known =
        ::getpwnam_r(user.c_str(), &record, buffer.data(), buffer.size(), &found) == 0 &&
        found != nullptr;
    return known ? found->pw_dir + path.substr(slash) : path;
}

FileStamp stamp_of(const std::string& path) {
    struct stat status{};

    if (::stat(path.c_str(), &status) != 0) {
        return {};
    }
#ifdef __APPLE__
    const auto nanoseconds = static_cast<std::int64_t>(status.st_mtimespec.tv_nsec);
#else
    const auto nanoseconds = static_cast<std::int64_t>(status.st_mtim.tv_nsec);
#endif
    return {static_cast<std::int64_t>(status.st_dev), static_cast<std::int64_t>(status.st_ino),
            static_cast<std::int64_t>(status.st_size), static_cast<std::int64_t>(status.st_mtime),
            nanoseconds};
}

const std::string& home_directory() {
    static const std::string home = [] {
        const char* variable = std::getenv("HOME"); // NOLINT(concurrency-mt-unsafe): read once
        if (variable != nullptr && *variable != '\0') {
            return std::string(variable);
        }
        std::array<char, 4096> buffer{};
        struct passwd record{};

        struct passwd* found = nullptr;
        if (::getpwuid_r(::getuid(), &record, buffer.data(), buffer.size(), &found) == 0 &&
            found != nullptr) {
            return std::string(found->pw_dir);
        }
        return std::string();
    }();
    return home;
}

std::string current_user() {
    std::array<char, 4096> buffer{};
    struct passwd record{};

    struct passwd* found = nullptr;
    if (::getpwuid_r(::getuid(), &record, buffer.data(), buffer.size(), &found) == 0 &&
        found != nullptr) {
        return found->pw_name;
    }
    return {};
}

} // namespace muster::ssh::detail
