#include "ssh/local_file.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace muster::ssh::detail {

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t permission_bits = 0777; // no setuid from elsewhere

[[noreturn]] void fail(const std::string& what, const std::string& path, int error = errno) {
    throw std::system_error(error, std::generic_category(), "cannot " + what + " '" + path + "'");
}

Descriptor open_folder(int at, const std::string& name, const std::string& path, int flags) {
    Descriptor folder(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags));
    if (folder.get() < 0) {
        fail("open the folder", path);
    }
    return folder;
}

std::array<timespec, 2> as_timespecs(const FileTimes& times) {
    return {timespec{static_cast<time_t>(times.atime), 0},
            timespec{static_cast<time_t>(times.mtime), 0}};
}

FileTimes times_of(const struct stat& facts) {
    return {static_cast<std::uint32_t>(facts.st_atim.tv_sec),
            static_cast<std::uint32_t>(facts.st_mtim.tv_sec)};
}

/// ".name.1f3a5c7e.part", of a length that every file system takes.
std::string temporary_name(const std::string& name) {
    constexpr std::size_t longest = 200;
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) {
        fail("name", name);
    }
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(number));
    return "." + name.substr(0, longest) + "." + digits.data() + ".part";
}

} // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Descriptor::~Descriptor() { close(); }

int Descriptor::close() noexcept {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || ::close(fd) == 0 ? 0 : errno;
}

LocalSource::LocalSource(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat facts{};

    if (file_.get() < 0 || ::fstat(file_.get(), &facts) != 0) {
        fail("open", path);
    }
    if (S_ISDIR(facts.st_mode)) {
        fail("read", path, EISDIR);
    }
    size_ = static_cast<std::uint64_t>(facts.st_size);
    permissions_ = facts.st_mode & permission_bits;
    times_ = times_of(facts);
    ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

std::size_t LocalSource::read(char* buffer, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t got = ::read(file_.get(), buffer + done, size - done);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        } else if (errno != EINTR) {
            fail("read", path_);
        }
    }
    return done;
}

LocalTarget::~LocalTarget() { discard(); }

void LocalTarget::write(std::string_view data) {
    while (!data.empty()) {
        const ssize_t done = ::write(file_.get(), data.data(), data.size());
        if (done >= 0) {
            data.remove_prefix(static_cast<std::size_t>(done));
        } else if (errno != EINTR) {
            fail("write", folder_->path_of(name_));
        }
    }
}

void LocalTarget::keep(std::optional<std::uint32_t> permissions, std::optional<FileTimes> times) {
    const std::string path = folder_->path_of(name_);
    const bool named = temporary_.empty();
    if (permissions && !named && ::fchmod(file_.get(), *permissions & permission_bits) != 0) {
        fail("set the permissions of", path);
    }
    if (times && !named && ::futimens(file_.get(), as_timespecs(*times).data()) != 0) {
        fail("set the times of", path);
    }
    if (const int error = file_.close(); error != 0) {
        fail("write", path, error);
    }
    if (named) {
        return;
    }
    const int folder = folder_->folder_.get();
    if (overwrite_) {
        if (::renameat(folder, temporary_.c_str(), folder, name_.c_str()) != 0) {
            fail("replace", path);
        }
        temporary_.clear();
    } else if (::linkat(folder, temporary_.c_str(), folder, name_.c_str(), 0) != 0) {
        fail("create", path); // somebody else has made one meanwhile
    } else {
        discard();
    }
}

void LocalTarget::discard() noexcept {
    if (!temporary_.empty()) {
        ::unlinkat(folder_->folder_.get(), temporary_.c_str(), 0);
        temporary_.clear();
    }
}

std::shared_ptr<LocalFolder> LocalFolder::open(const std::string& path) {
    return std::shared_ptr<LocalFolder>(
        new LocalFolder(path, open_folder(AT_FDCWD, path, path, 0)));
}

std::shared_ptr<LocalFolder> LocalFolder::make(const std::string& path, std::uint32_t permissions) {
    if (::mkdir(path.c_str(), permissions & permission_bits) != 0 && errno != EEXIST) {
        fail("make the folder", path);
    }
    return open(path);
}

std::shared_ptr<LocalFolder> LocalFolder::make_folder(const std::string& name,
                                                      std::uint32_t permissions) const {
    const std::string path = path_of(name);
    if (::mkdirat(folder_.get(), name.c_str(), permissions & permission_bits) != 0 &&
        errno != EEXIST) {
        fail("make the folder", path);
    }
    return std::shared_ptr<LocalFolder>(
        new LocalFolder(path, open_folder(folder_.get(), name, path, O_NOFOLLOW)));
}

std::shared_ptr<LocalTarget> LocalFolder::create(const std::string& name, std::uint32_t permissions,
                                                 bool overwrite) const {
    const auto target =
        std::shared_ptr<LocalTarget>(new LocalTarget(shared_from_this(), name, overwrite));
    struct stat facts{};

    const bool exists = ::fstatat(folder_.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && !overwrite) {
        fail("create", path_of(name), EEXIST);
    }
    if (exists && S_ISDIR(facts.st_mode)) {
        fail("replace", path_of(name), EISDIR);
    }
    if (exists && !S_ISREG(facts.st_mode) && !S_ISLNK(facts.st_mode)) {
        // A device or pipe is not to be replaced, but written to.
        target->file_ =
            Descriptor(::openat(folder_.get(), name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
        if (target->file_.get() < 0) {
            fail("open", path_of(name));
        }
        return target;
    }
    const std::string temporary = temporary_name(name);
    target->file_ = Descriptor(::openat(folder_.get(), temporary.c_str(),
                                        O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                        permissions & permission_bits));
    if (target->file_.get() < 0) {
        fail("create", path_of(name));
    }
    target->temporary_ = temporary;
    return target;
}

void LocalFolder::link(const std::string& name, const std::string& target, bool overwrite) const {
    int done = ::symlinkat(target.c_str(), folder_.get(), name.c_str());
    if (done != 0 && errno == EEXIST && overwrite) {
        const std::string temporary = temporary_name(name);
        done = ::symlinkat(target.c_str(), folder_.get(), temporary.c_str());
        if (done == 0 &&
            ::renameat(folder_.get(), temporary.c_str(), folder_.get(), name.c_str()) != 0) {
            const int error = errno;
            ::unlinkat(folder_.get(), temporary.c_str(), 0);
            fail("replace", path_of(name), error);
        }
    }
    if (done != 0) {
        fail("make the symbolic link", path_of(name));
    }
}

void LocalFolder::set(std::uint32_t permissions, const FileTimes& times) const {
    if (::fchmod(folder_.get(), permissions & permission_bits) != 0 ||
        ::futimens(folder_.get(), as_timespecs(times).data()) != 0) {
        fail("set permissions and times of", path_);
    }
}

LocalPlace find_place(const std::string& path, const std::string& name) {
    std::error_code none;
    fs::path place(path);
    if (fs::is_directory(place, none)) {
        place /= name;
    }
    if (const fs::path led = fs::canonical(place, none); !none) {
        place = led; // a link stays, and what it leads to is replaced
    }
    LocalPlace found{place.parent_path().string(), place.filename().string()};
    if (found.folder.empty()) {
        found.folder = ".";
    }
    if (found.name.empty()) {
        fail("create", path, ENOENT);
    }
    return found;
}

LocalType local_type(const std::string& path) {
    std::error_code none;
    switch (fs::status(path, none).type()) {
    case fs::file_type::directory:
        return LocalType::folder;
    case fs::file_type::regular:
        return LocalType::regular;
    case fs::file_type::none:
    case fs::file_type::not_found:
        return LocalType::none;
    default:
        return LocalType::special;
    }
}

FolderFacts folder_facts(const std::string& path) {
    struct stat facts{};

    if (::stat(path.c_str(), &facts) != 0) {
        fail("open the folder", path);
    }
    return {facts.st_mode & permission_bits, times_of(facts)};
}

std::vector<LocalEntry> list_local(const std::string& path) {
    std::error_code error;
    std::vector<LocalEntry> entries;
    for (fs::directory_iterator it(path, error); !error && it != fs::directory_iterator();
         it.increment(error)) {
        LocalEntry entry{it->path().filename().string(), LocalType::special, {}};
        const fs::file_status status = it->symlink_status(error);
        if (error) {
            break;
        }
        if (fs::is_symlink(status)) {
            entry.type = LocalType::link;
            entry.target = fs::read_symlink(it->path(), error).string();
        } else if (fs::is_directory(status)) {
            entry.type = LocalType::folder;
        } else if (fs::is_regular_file(status)) {
            entry.type = LocalType::regular;
        }
        entries.push_back(std::move(entry));
    }
    if (error) {
        fail("list", path, error.value());
    }
    std::sort(entries.begin(), entries.end(),
              [](const LocalEntry& a, const LocalEntry& b) { return a.name < b.name; });
    return entries;
}

bool leads_inside(std::string_view target, std::size_t depth) {
    if (target.empty() || target.front() == '/') {
        return false;
    }
    std::size_t climbed = 0;
    bool climbing = true;
    while (!target.empty()) {
        const std::size_t end = std::min(target.find('/'), target.size());
        const std::string_view part = target.substr(0, end);
        target.remove_prefix(std::min(end + 1, target.size()));
        if (part == "..") {
            if (!climbing || ++climbed > depth) {
                return false;
            }
        } else if (!part.empty() && part != ".") {
            climbing = false;
        }
    }
    return true;
}

} // namespace muster::ssh::detail
