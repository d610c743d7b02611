#include "ssh/known_hosts_files.hpp"

#include "ssh/crypto.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <thread>
#include <utility>

namespace muster::ssh {

namespace detail {

namespace {

/// How long another program may hold the lock of a known_hosts file.
constexpr std::chrono::seconds lock_patience{10};

constexpr const char* add_remedy =
    "let this user write it, or name another file in Options::known_hosts";

[[noreturn]] void fail_locked(const std::string& file) {
    fail_file("another program holds the lock of", file, EWOULDBLOCK,
              "see which one: fuser " + file);
}

/// Waits for the lock, but not for ever: flock(2) knows no time limit.
void lock(const File& out, const std::string& file,
          std::chrono::steady_clock::time_point deadline) {
    while (::flock(out.fd(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            fail_file("cannot lock", file, errno, add_remedy);
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            fail_locked(file);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

/// Whether the path still leads to the open file: ssh-keygen -R puts a new one in its place.
bool is_in_place(const File& open_file, const std::string& path) {
    struct stat ours{};

    struct stat current{};

    return ::fstat(open_file.fd(), &ours) == 0 && ::stat(path.c_str(), &current) == 0 &&
           ours.st_dev == current.st_dev && ours.st_ino == current.st_ino;
}

} // namespace

KnownHostsFiles& KnownHostsFiles::of(const std::vector<std::string>& files) {
    static std::mutex mutex;
    static std::map<std::vector<std::string>, std::unique_ptr<KnownHostsFiles>> all;
    const std::lock_guard lock(mutex);
    auto& ours = all[files];
    if (!ours) {
        ours = std::make_unique<KnownHostsFiles>(files);
    }
    return *ours;
}

void KnownHostsFiles::refresh() {
    // The stamps are taken before the files are read: a change in between is then seen next time.
    std::vector<FileStamp> stamps;
    stamps.reserve(files_.size());
    for (const auto& file : files_) {
        stamps.push_back(stamp_of(file));
    }
    if (stamps != stamps_) {
        hosts_ = KnownHosts::load(files_);
        stamps_ = std::move(stamps);
    }
}

HostKeyVerdict KnownHostsFiles::check(std::string_view host, std::uint16_t port,
                                      std::string_view key) {
    const std::lock_guard lock(mutex_);
    HostKeyVerdict verdict = hosts_.check(host, port, key);
    if (verdict.status != HostKeyStatus::match) {
        refresh();
        verdict = hosts_.check(host, port, key);
    }
    return verdict;
}

std::vector<std::string> KnownHostsFiles::key_types(std::string_view host, std::uint16_t port) {
    const std::lock_guard lock(mutex_);
    refresh();
    return hosts_.key_types(host, port);
}

HostKeyVerdict KnownHostsFiles::accept_new(std::string_view host, std::uint16_t port,
                                           std::string_view key) {
    const std::string& file = files_.at(0);
    make_folder_of(file, add_remedy);
    const auto deadline = std::chrono::steady_clock::now() + lock_patience;
    const std::unique_lock turn(adding_, deadline);
    if (!turn.owns_lock()) {
        fail_locked(file);
    }
    for (;;) {
        const File out(file, O_RDWR | O_CREAT | O_APPEND, 0600);
        if (out.fd() < 0) {
            fail_file("cannot add a host key to", file, errno, add_remedy);
        }
        lock(out, file, deadline);
        if (!is_in_place(out, file)) {
            continue;
        }
        const std::lock_guard ours(mutex_);
        refresh();
        HostKeyVerdict verdict = hosts_.check(host, port, key);
        if (verdict.status == HostKeyStatus::unknown) {
            append(out, known_hosts_name(host, port) + " " + key_type(key) + " " +
                            base64_encode(key) + "\n");
            if (!is_in_place(out, file)) {
                continue; // the line is in a file that is no more
            }
        }
        return verdict;
    }
}

void KnownHostsFiles::append(const File& out, const std::string& line) {
    const std::string& file = files_.front();
    // The size first and last: what others write past the lock shows in it or in a stamp.
    const off_t size = ::lseek(out.fd(), 0, SEEK_END);
    const FileStamp before = stamp_of(file);
    char last = '\n';
    const bool torn = size > 0 && ::pread(out.fd(), &last, 1, size - 1) == 1 && last != '\n';
    const std::string bytes = (torn ? "\n" : "") + line;
    const ssize_t written = ::write(out.fd(), bytes.data(), bytes.size());
    if (written != static_cast<ssize_t>(bytes.size())) {
        fail_file("cannot write", file, written < 0 ? errno : ENOSPC, add_remedy);
    }
    const FileStamp after = stamp_of(file);
    const bool alone = ::lseek(out.fd(), 0, SEEK_END) == size + written;
    if (alone && before == stamps_.front() && is_in_place(out, file)) {
        hosts_.append(line, file);
        stamps_.front() = after;
    }
}

} // namespace detail

HostKeyVerdict accept_new_host_key(const std::vector<std::string>& files, std::string_view host,
                                   std::uint16_t port, std::string_view key) {
    return detail::KnownHostsFiles::of(files).accept_new(host, port, key);
}

} // namespace muster::ssh
