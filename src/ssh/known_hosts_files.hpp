#pragma once

#include "ssh/files.hpp"

#include <muster/ssh/known_hosts.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::ssh::detail {

/// A list of known_hosts files as this process knows them: read once, again when somebody else has
/// changed one, and not again for what is added here, so that ten thousand new devices do not read
/// ten thousand growing files. Thread-safe.
class KnownHostsFiles {
public:
    /// The one of this list; it stays.
    static KnownHostsFiles& of(const std::vector<std::string>& files);

    explicit KnownHostsFiles(std::vector<std::string> files) : files_(std::move(files)) {}

    /// As KnownHosts has them, looking whether a file has changed: it is what a session asks first.
    /// Throws ssh::Error when one cannot be read.
    std::vector<std::string> key_types(std::string_view host, std::uint16_t port);

    /// The same, looking at the files only if the key does not match.
    HostKeyVerdict check(std::string_view host, std::uint16_t port, std::string_view key);

    /// accept_new_host_key().
    HostKeyVerdict accept_new(std::string_view host, std::uint16_t port, std::string_view key);

private:
    void refresh();
    void append(const File& out, const std::string& line);

    const std::vector<std::string> files_;
    std::timed_mutex adding_; // in front of the file's lock, which is no queue
    std::mutex mutex_;        // of what follows; not held while the file's lock is awaited
    std::vector<FileStamp> stamps_;
    KnownHosts hosts_;
};

} // namespace muster::ssh::detail
