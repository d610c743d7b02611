#pragma once
/// The pieces of work on files that take more than one call of libssh2. Each owns what it uses:
/// when nobody waits for it any more, it brings libssh2 to where other work can begin, and ends.

#include "ssh/sftp_state.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace muster::ssh::detail {

/// Opens a file or folder.
struct OpenPath {
    std::string path;
    bool folder = false;
    unsigned long flags = 0;
    long permissions = 0666;
    std::shared_ptr<SftpHandle> handle = {};
    bool abandoned = false;

    int step(SftpState& state);

    void abandon() noexcept { abandoned = true; }

    [[nodiscard]] std::string task() const { return "open '" + path + "'"; }
};

/// Reads until all is there that is wanted or the file ends.
struct ReadBlock {
    std::shared_ptr<SftpHandle> handle;
    std::string path;
    std::uint64_t offset = 0;
    std::size_t limit = 0; ///< bytes wanted
    std::string data = {}; ///< the buffer: grows up to the limit
    std::size_t size = 0;  ///< how much of it was filled
    bool ended = false;    ///< the file has no more
    bool abandoned = false;

    int step(SftpState& state);

    void abandon() noexcept { abandoned = true; }

    [[nodiscard]] std::string task() const { return "read '" + path + "'"; }
};

/// Writes the bytes from `head` to `tail` of a buffer, until at most `keep` of them are not
/// confirmed by the device.
struct WriteBlock {
    std::shared_ptr<SftpHandle> handle;
    std::string path;
    std::uint64_t offset = 0; ///< of the byte at `head`
    std::shared_ptr<std::string> data = {};
    std::size_t head = 0;
    std::size_t tail = 0;
    std::size_t keep = 0;
    bool abandoned = false;

    int step(SftpState& state);

    void abandon() noexcept { abandoned = true; }

    [[nodiscard]] std::string task() const { return "write '" + path + "'"; }
};

/// Reads all names of an open folder but "." and "..".
struct ReadFolder {
    std::shared_ptr<SftpHandle> handle;
    std::string path;
    std::size_t limit = 0;
    std::vector<SftpEntry> entries = {};
    bool abandoned = false;

    /// More than `limit`, it ends early.
    int step(SftpState& state);

    void abandon() noexcept { abandoned = true; }

    [[nodiscard]] std::string task() const { return "list '" + path + "'"; }
};

/// One call of libssh2, as a function of the SftpEngine.
template <class F>
struct Request {
    std::string what; ///< "remove '/tmp/x'"
    F function;

    int step(SftpState& state) { return function(state.sftp()); }

    [[nodiscard]] const std::string& task() const { return what; }
};

template <class F>
Request(std::string, F) -> Request<F>;

} // namespace muster::ssh::detail
