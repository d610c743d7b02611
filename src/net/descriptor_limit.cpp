#include <muster/core/error.hpp>
#include <muster/net/descriptor_limit.hpp>

#include <dirent.h>
#include <sys/resource.h>

#include <limits>
#include <memory>
#include <string>

namespace muster {

namespace {

/// For what opens descriptors on the side: files, name servers, child processes.
constexpr std::size_t spare = 32;

std::size_t as_count(rlim_t limit) noexcept {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    return limit == RLIM_INFINITY || limit > most ? most : static_cast<std::size_t>(limit);
}

struct CloseFolder {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

/// How many descriptors are open; those of the standard streams where nobody tells.
std::size_t open_descriptors() noexcept {
    const std::unique_ptr<DIR, CloseFolder> folder(::opendir("/proc/self/fd"));
    if (!folder) {
        return 3;
    }
    std::size_t entries = 0;
    while (::readdir(folder.get()) != nullptr) {
        ++entries;
    }
    return entries - 3; // ".", ".." and the folder itself
}

} // namespace

std::size_t raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        const rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            limit.rlim_cur = before; // some systems have a lower limit of their own
        }
    }
    return as_count(limit.rlim_cur);
}

void require_descriptors(std::size_t count, std::string_view purpose) {
    const std::size_t limit = raise_descriptor_limit();
    const std::size_t needed = open_descriptors() + spare + count;
    if (needed > limit) {
        throw Error(std::string(purpose) + ": that takes " + std::to_string(needed) +
                    " file descriptors and this process may open " + std::to_string(limit) +
                    "; do less at once, or raise the limit: ulimit -Hn " + std::to_string(needed) +
                    " (as root), or LimitNOFILE= of the service");
    }
}

} // namespace muster
