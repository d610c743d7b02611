#pragma once
/// Files on the device: SFTP version 3, as OpenSSH speaks it.

#include <muster/core/clock.hpp>
#include <muster/core/coro.hpp>
#include <muster/ssh/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh {

namespace detail {
class SftpState;
struct SftpFileState;
} // namespace detail

/// For `Connection::sftp`.
struct SftpOptions {
    /// How long the device may let a request wait without any progress: not the time of a whole
    /// transfer. After it the connection is closed, because the protocol is in the middle of
    /// something. libssh2 1.10 itself gives up after 60 seconds.
    TimeLimit timeout = std::chrono::seconds(30);
    /// A folder that lists more names than this is an error: a device could go on for ever.
    std::size_t max_entries = 1'000'000;
};

/// What a name stands for.
enum class FileType : std::uint8_t { unknown, regular, directory, symlink, special };

/// What is known of a file (asyncssh.SFTPAttrs). In what `stat` gives, empty is what the device did
/// not tell; in what `set_attributes` takes, what is to stay as it is.
struct SftpAttributes {
    std::optional<std::uint64_t> size = {}; ///< bytes
    std::optional<std::uint32_t> uid = {};  ///< set together with `gid`
    std::optional<std::uint32_t> gid = {};
    std::optional<std::uint32_t> permissions = {}; ///< as in POSIX: 0644, and the type's bits
    std::optional<std::uint32_t> atime = {};       ///< last read: seconds since 1970
    std::optional<std::uint32_t> mtime = {};       ///< last changed; set together with `atime`

    /// From the permissions.
    [[nodiscard]] FileType type() const noexcept;
};

/// A name in a folder. It is what the device says: it may hold any bytes, even "/".
struct SftpEntry {
    std::string name;
    SftpAttributes attributes;
};

/// How far a transfer is.
struct TransferProgress {
    std::string_view path;              ///< of the file, on the side that is read from
    std::uint64_t bytes = 0;            ///< of this file, so far
    std::optional<std::uint64_t> total; ///< its size when the transfer began
};

/// For `Sftp::get` and `Sftp::put`.
struct TransferOptions {
    /// A folder with all that is in it.
    bool recursive = false;
    /// Times and permissions become those of the original; setuid, setgid and sticky bits do not.
    bool preserve = false;
    /// A file that exists is replaced; else it is an error.
    bool overwrite = true;
    /// Called on the loop's thread after each block of at most 512 KiB, and at the end of each
    /// file. What it throws ends the transfer.
    std::function<void(const TransferProgress&)> progress = {};
};

/// What `Sftp::get` and `Sftp::put` have done.
struct Transferred {
    std::uint64_t bytes = 0;
    std::size_t files = 0;
    /// Symbolic links that lead out of the folder, sockets, devices: left out, by path.
    std::vector<std::string> skipped;
};

/// A file open on the device (asyncssh.SFTPClientFile). Dropping it closes it in the background; it
/// ends with its Sftp. Several tasks may use it; each call is done as a whole. Throws ssh::Error
/// (Phase::transfer).
class SftpFile {
public:
    explicit SftpFile(std::shared_ptr<detail::SftpFileState> state) noexcept;
    SftpFile(SftpFile&&) noexcept;
    SftpFile& operator=(SftpFile&&) noexcept;
    ~SftpFile();

    /// The next `size` bytes from the position on; fewer only at the end of the file, where it
    /// gives an empty text. One file read in order keeps many requests under way.
    Coro<std::string> read(std::size_t size);
    /// The same from `offset`; the position stays (pread(2)).
    Coro<std::string> pread(std::size_t size, std::uint64_t offset);

    /// Writes all of `data` at the position; at the file's end when it was opened with "a". Returns
    /// once the device has confirmed it.
    Coro<void> write(std::string data);
    /// The same at `offset`; the position stays (pwrite(2)).
    Coro<void> pwrite(std::string data, std::uint64_t offset);

    /// Where `read` and `write` go on, in bytes from the file's beginning.
    void seek(std::uint64_t offset) noexcept;
    [[nodiscard]] std::uint64_t tell() const noexcept;

    Coro<SftpAttributes> stat();
    /// Size (truncates or extends), owner, permissions, times.
    Coro<void> set_attributes(SftpAttributes attributes);
    /// Has the device bring the data to its disk (fsync@openssh.com); not all can.
    Coro<void> sync();

    /// Throws when the device reports that it could not keep what was written. Idempotent.
    Coro<void> close();

private:
    std::shared_ptr<detail::SftpFileState> state_;
};

/// An SFTP session on a connection: `Connection::sftp()`. Any number of tasks may use it; the
/// device gets one request after the other, in the order of the calls, except that transfers of
/// whole files take turns block by block. Dropping it ends it in the background.
///
/// A call that is cancelled before its turn does nothing. Cancelled later, it ends at once, and
/// what it has begun at the device is finished in the background: the connection goes on. When
/// SftpOptions::timeout passes without progress, the connection is closed.
///
/// Everything throws ssh::Error (Phase::transfer), which names the path and says what the device
/// says: ErrorKind::no_such_file, permission_denied, or file_failed for the rest; local_file for
/// files of this machine.
class Sftp {
public:
    explicit Sftp(std::shared_ptr<detail::SftpState> state) noexcept;
    Sftp(Sftp&&) noexcept;
    Sftp& operator=(Sftp&&) noexcept;
    ~Sftp();

    /// Fetches a file; `local` may be a folder to put it into. It is written under a temporary name
    /// beside `local`, which takes its name once all is there and disappears on failure and
    /// cancellation. (Where `local` is not a regular file, a device for example, it is written
    /// directly.) Local files are read and written in the loop's executor. The device's permissions
    /// are taken over as far as the umask allows.
    ///
    /// With `recursive`, `remote` may be a folder, whose contents go into the folder `local`, which
    /// is made if need be. Symbolic links are made anew if they lead to somewhere inside; they are
    /// never followed, on neither side. A name that would lead out of the folder is an error.
    Coro<Transferred> get(std::string remote, std::string local, TransferOptions options = {});

    /// Sends a file; `remote` may be a folder to put it into. It is written under its own name:
    /// after a failure or cancellation, the device has a part of it. Where that matters, send it
    /// under another name and rename() it. Folders as in `get`.
    Coro<Transferred> put(std::string local, std::string remote, TransferOptions options = {});

    /// Opens a file. `mode` as in fopen(3): "r", "w", "a", "x" (must not exist), "r+", "w+", "a+",
    /// "x+"; anything else is a ValueError. `permissions` is for a new file.
    Coro<SftpFile> open(std::string path, std::string mode = "r", std::uint32_t permissions = 0666);

    Coro<SftpAttributes> stat(std::string path);
    /// Of the symbolic link itself.
    Coro<SftpAttributes> lstat(std::string path);
    Coro<bool> exists(std::string path);
    /// All names in a folder but "." and "..", in the device's order.
    Coro<std::vector<SftpEntry>> list(std::string path);

    Coro<void> mkdir(std::string path, std::uint32_t permissions = 0777);
    /// With its parents; one that exists is fine.
    Coro<void> makedirs(std::string path, std::uint32_t permissions = 0777);
    Coro<void> rmdir(std::string path);
    /// A file or symbolic link.
    Coro<void> remove(std::string path);
    /// The new name must not exist, as SFTP has it.
    Coro<void> rename(std::string from, std::string to);
    /// Makes `path` a symbolic link to `target`. The order of the arguments on the wire is
    /// OpenSSH's, which is not the standard's.
    Coro<void> symlink(std::string target, std::string path);
    Coro<std::string> readlink(std::string path);
    /// The absolute path; "." is the folder where the session starts.
    Coro<std::string> realpath(std::string path);
    Coro<void> chmod(std::string path, std::uint32_t permissions);
    Coro<void> set_attributes(std::string path, SftpAttributes attributes);

    /// Ends the session and all its files; the connection stays open. Idempotent. Throws nothing
    /// but CancelledError: a device that does not answer in time loses the connection.
    Coro<void> close();

private:
    std::shared_ptr<detail::SftpState> state_;
};

} // namespace muster::ssh
