#include "ssh/sftp_transfer.hpp"

#include <muster/core/error.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/sftp.hpp>

#include <array>
#include <optional>
#include <utility>

namespace muster::ssh {

using namespace detail;

namespace {

/// Opens the channel. Nobody waits for it any more: it is ended as soon as it is there.
struct BeginSftp {
    bool opened = false;
    bool abandoned = false;

    int step(SftpState& state) {
        if (!opened) {
            if (const int code = state.sftp().open(); code != 0) {
                return code;
            }
            opened = true;
        }
        return abandoned ? state.sftp().shutdown() : 0;
    }

    void abandon() noexcept { abandoned = true; }

    [[nodiscard]] static std::string task() { return "begin SFTP"; }
};

/// Reads or writes where the file's position is, and moves it; or elsewhere, and does not.
template <class Block>
struct AtPosition {
    std::shared_ptr<SftpFileState> file;
    Block block;
    bool elsewhere = false;
    bool placed = false;

    int step(SftpState& state) {
        if (!std::exchange(placed, true) && !elsewhere) {
            block.offset = file->position;
        }
        const int code = block.step(state);
        if (code == 0 && !elsewhere && !block.abandoned) {
            file->position = end_of(block);
        }
        return code;
    }

    void abandon() noexcept { block.abandon(); }

    [[nodiscard]] std::string task() const { return block.task(); }

private:
    static std::uint64_t end_of(const ReadBlock& block) { return block.offset + block.size; }

    static std::uint64_t end_of(const WriteBlock& block) { return block.offset; }
};

unsigned long open_flags(const std::string& mode) {
    struct Mode {
        const char* text;
        unsigned long flags;
    };

    constexpr unsigned long created = LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT;
    constexpr std::array modes{
        Mode{"r", LIBSSH2_FXF_READ},
        Mode{"r+", LIBSSH2_FXF_READ | LIBSSH2_FXF_WRITE},
        Mode{"w", created | LIBSSH2_FXF_TRUNC},
        Mode{"w+", created | LIBSSH2_FXF_TRUNC | LIBSSH2_FXF_READ},
        Mode{"a", created | LIBSSH2_FXF_APPEND},
        Mode{"a+", created | LIBSSH2_FXF_APPEND | LIBSSH2_FXF_READ},
        Mode{"x", created | LIBSSH2_FXF_EXCL},
        Mode{"x+", created | LIBSSH2_FXF_EXCL | LIBSSH2_FXF_READ},
    };
    for (const Mode& one : modes) {
        if (mode == one.text) {
            return one.flags;
        }
    }
    throw ValueError("a file is opened with r, w, a, x, r+, w+, a+ or x+, not with '" + mode + "'");
}

// As everywhere in this room, the coroutines hold what they work on.

template <class F>
Coro<void> request(std::shared_ptr<SftpState> state, std::string what, F function) {
    Request<F> work{std::move(what), std::move(function)};
    co_await state->perform(std::move(work));
}

template <class F>
Coro<void> request_on(std::shared_ptr<SftpFileState> file, std::string what, F function) {
    Request work{what + " '" + file->path + "'",
                 [handle = file->handle, function = std::move(function)](SftpEngine& sftp) {
                     return function(sftp, *handle);
                 }};
    co_await file->sftp->perform(std::move(work));
}

Coro<SftpAttributes> stat_path(std::shared_ptr<SftpState> state, std::string path, int kind) {
    auto found = std::make_shared<SftpAttributes>();
    co_await request(state, "stat '" + path + "'", [found, path, kind](SftpEngine& sftp) {
        return sftp.stat(path, kind, *found);
    });
    co_return *found;
}

Coro<SftpAttributes> stat_open(std::shared_ptr<SftpFileState> file) {
    auto found = std::make_shared<SftpAttributes>();
    co_await request_on(file, "stat", [found](SftpEngine& sftp, SftpHandle& handle) {
        return sftp.stat(handle, *found);
    });
    co_return *found;
}

Coro<bool> exists_at(std::shared_ptr<SftpState> state, std::string path) {
    co_return (co_await find(state, path, LIBSSH2_SFTP_STAT)).has_value();
}

Coro<SftpFile> open_at(std::shared_ptr<SftpState> state, std::string path, std::string mode,
                       std::uint32_t permissions) {
    OpenPath work{
        .path = path, .flags = open_flags(mode), .permissions = static_cast<long>(permissions)};
    work = co_await state->perform(std::move(work));
    auto file = std::make_shared<SftpFileState>(state, std::move(work.handle), std::move(path));
    if ((work.flags & LIBSSH2_FXF_APPEND) != 0) {
        file->position = (co_await stat_open(file)).size.value_or(0);
    }
    co_return SftpFile(std::move(file));
}

Coro<void> make_folders(std::shared_ptr<SftpState> state, std::string path,
                        std::uint32_t permissions) {
    if (is_folder(co_await find(state, path, LIBSSH2_SFTP_STAT))) {
        co_return;
    }
    for (std::size_t end = path.find('/', 1); end != std::string::npos;
         end = path.find('/', end + 1)) {
        co_await ensure_folder(state, path.substr(0, end), permissions);
    }
    if (!path.ends_with('/')) {
        co_await ensure_folder(state, path, permissions);
    }
}

Coro<std::string> read_file(std::shared_ptr<SftpFileState> file, std::size_t size,
                            std::optional<std::uint64_t> offset) {
    AtPosition<ReadBlock> work{.file = file,
                               .block = {.handle = file->handle,
                                         .path = file->path,
                                         .offset = offset.value_or(0),
                                         .limit = size},
                               .elsewhere = offset.has_value()};
    work = co_await file->sftp->perform(std::move(work));
    work.block.data.resize(work.block.size);
    co_return std::move(work.block.data);
}

Coro<void> write_file(std::shared_ptr<SftpFileState> file, std::string data,
                      std::optional<std::uint64_t> offset) {
    const std::size_t size = data.size();
    AtPosition<WriteBlock> work{.file = file,
                                .block = {.handle = file->handle,
                                          .path = file->path,
                                          .offset = offset.value_or(0),
                                          .data = std::make_shared<std::string>(std::move(data)),
                                          .tail = size},
                                .elsewhere = offset.has_value()};
    co_await file->sftp->perform(std::move(work));
}

Coro<void> close_file(std::shared_ptr<SftpFileState> file) {
    co_await request_on(file, "close",
                        [](SftpEngine& sftp, SftpHandle& handle) { return sftp.close(handle); });
}

Coro<void> close_sftp(std::shared_ptr<SftpState> state) {
    state->closed = true;
    try {
        co_await request(state, "end SFTP", [](SftpEngine& sftp) { return sftp.shutdown(); });
    } catch (const Error&) {
        // The connection is gone, and the SFTP session with it.
    }
}

Coro<Sftp> begin_sftp(std::shared_ptr<Session> session, SftpOptions options) {
    auto state = std::make_shared<SftpState>(std::move(session), options);
    co_await state->perform_alone(BeginSftp());
    co_return Sftp(std::move(state));
}

} // namespace

FileType SftpAttributes::type() const noexcept {
    switch (permissions.value_or(0) & LIBSSH2_SFTP_S_IFMT) {
    case 0:
        return FileType::unknown;
    case LIBSSH2_SFTP_S_IFREG:
        return FileType::regular;
    case LIBSSH2_SFTP_S_IFDIR:
        return FileType::directory;
    case LIBSSH2_SFTP_S_IFLNK:
        return FileType::symlink;
    default:
        return FileType::special;
    }
}

SftpFile::SftpFile(std::shared_ptr<SftpFileState> state) noexcept : state_(std::move(state)) {}

SftpFile::SftpFile(SftpFile&&) noexcept = default;
SftpFile& SftpFile::operator=(SftpFile&&) noexcept = default;
SftpFile::~SftpFile() = default;

Coro<std::string> SftpFile::read(std::size_t size) { return read_file(state_, size, std::nullopt); }

Coro<std::string> SftpFile::pread(std::size_t size, std::uint64_t offset) {
    return read_file(state_, size, offset);
}

Coro<void> SftpFile::write(std::string data) {
    return write_file(state_, std::move(data), std::nullopt);
}

Coro<void> SftpFile::pwrite(std::string data, std::uint64_t offset) {
    return write_file(state_, std::move(data), offset);
}

void SftpFile::seek(std::uint64_t offset) noexcept { state_->position = offset; }

std::uint64_t SftpFile::tell() const noexcept { return state_->position; }

Coro<SftpAttributes> SftpFile::stat() { return stat_open(state_); }

Coro<void> SftpFile::set_attributes(SftpAttributes attributes) {
    return request_on(state_, "set the attributes of",
                      [attributes](SftpEngine& sftp, SftpHandle& handle) {
                          return sftp.set_attributes(handle, attributes);
                      });
}

Coro<void> SftpFile::sync() {
    return request_on(state_, "sync",
                      [](SftpEngine& sftp, SftpHandle& handle) { return sftp.sync(handle); });
}

Coro<void> SftpFile::close() { return close_file(state_); }

Sftp::Sftp(std::shared_ptr<SftpState> state) noexcept : state_(std::move(state)) {}

Sftp::Sftp(Sftp&&) noexcept = default;

Sftp& Sftp::operator=(Sftp&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Sftp::~Sftp() {
    if (state_) {
        state_->end();
    }
}

Coro<Transferred> Sftp::get(std::string remote, std::string local, TransferOptions options) {
    return get_files(state_, std::move(remote), std::move(local), std::move(options));
}

Coro<Transferred> Sftp::put(std::string local, std::string remote, TransferOptions options) {
    return put_files(state_, std::move(local), std::move(remote), std::move(options));
}

Coro<SftpFile> Sftp::open(std::string path, std::string mode, std::uint32_t permissions) {
    return open_at(state_, std::move(path), std::move(mode), permissions);
}

Coro<SftpAttributes> Sftp::stat(std::string path) {
    return stat_path(state_, std::move(path), LIBSSH2_SFTP_STAT);
}

Coro<SftpAttributes> Sftp::lstat(std::string path) {
    return stat_path(state_, std::move(path), LIBSSH2_SFTP_LSTAT);
}

Coro<bool> Sftp::exists(std::string path) { return exists_at(state_, std::move(path)); }

Coro<std::vector<SftpEntry>> Sftp::list(std::string path) {
    return list_folder(state_, std::move(path));
}

Coro<void> Sftp::mkdir(std::string path, std::uint32_t permissions) {
    const std::string what = "make the folder '" + path + "'";
    return request(state_, what, [path = std::move(path), permissions](SftpEngine& sftp) {
        return sftp.mkdir(path, static_cast<long>(permissions));
    });
}

Coro<void> Sftp::makedirs(std::string path, std::uint32_t permissions) {
    return make_folders(state_, std::move(path), permissions);
}

Coro<void> Sftp::rmdir(std::string path) {
    const std::string what = "remove the folder '" + path + "'";
    return request(state_, what,
                   [path = std::move(path)](SftpEngine& sftp) { return sftp.rmdir(path); });
}

Coro<void> Sftp::remove(std::string path) {
    const std::string what = "remove '" + path + "'";
    return request(state_, what,
                   [path = std::move(path)](SftpEngine& sftp) { return sftp.remove(path); });
}

Coro<void> Sftp::rename(std::string from, std::string to) {
    const std::string what = "rename '" + from + "' to '" + to + "'";
    return request(state_, what, [from = std::move(from), to = std::move(to)](SftpEngine& sftp) {
        return sftp.rename(from, to);
    });
}

Coro<void> Sftp::symlink(std::string target, std::string path) {
    const std::string what = "make the symbolic link '" + path + "'";
    return request(state_, what,
                   [target = std::move(target), path = std::move(path)](SftpEngine& sftp) {
                       return sftp.symlink(target, path);
                   });
}

Coro<std::string> Sftp::readlink(std::string path) {
    return resolve_link(state_, std::move(path), LIBSSH2_SFTP_READLINK);
}

Coro<std::string> Sftp::realpath(std::string path) {
    return resolve_link(state_, std::move(path), LIBSSH2_SFTP_REALPATH);
}

Coro<void> Sftp::chmod(std::string path, std::uint32_t permissions) {
    SftpAttributes attributes;
    attributes.permissions = permissions;
    return set_attributes(std::move(path), attributes);
}

Coro<void> Sftp::set_attributes(std::string path, SftpAttributes attributes) {
    const std::string what = "set the attributes of '" + path + "'";
    return request(state_, what, [path = std::move(path), attributes](SftpEngine& sftp) {
        return sftp.set_attributes(path, attributes);
    });
}

Coro<void> Sftp::close() { return close_sftp(state_); }

Coro<Sftp> Connection::sftp(SftpOptions options) { return begin_sftp(session_, options); }

} // namespace muster::ssh
