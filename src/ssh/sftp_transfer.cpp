#include "ssh/sftp_transfer.hpp"

#include "ssh/local_file.hpp"
#include "ssh/one_line.hpp"

#include <muster/core/run_in_executor.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace muster::ssh::detail {

namespace {

/// Of the local file, read or written at once: whole requests of libssh2.
constexpr std::size_t put_block = 17 * std::size_t{30'000};

/// So many blocks are with the device before more is added to them: the window that OpenSSH gives.
constexpr std::size_t put_ahead = 5;

/// The buffer of a transfer, in blocks: what is with the device, what is read, and room to move.
constexpr std::size_t put_buffer = 12;

/// Small enough that libssh2 asks for little, and large enough that it asks twice: a small file and
/// its end come with one round trip.
constexpr std::size_t smallest_get = 8192;

constexpr std::size_t deepest_folder = 256;

constexpr std::uint32_t default_file = 0666;
constexpr std::uint32_t default_folder = 0777;
constexpr std::uint32_t permission_bits = 0777;
constexpr std::uint32_t owner_can_use = 0700;

/// A transfer under way.
struct Transfer {
    std::shared_ptr<SftpState> state;
    TransferOptions options;
    Transferred result = {};

    void report(const std::string& path, std::uint64_t bytes,
                std::optional<std::uint64_t> total) const {
        if (options.progress) {
            options.progress({path, bytes, total});
        }
    }
};

/// Waits for what was begun in the executor; its failures become errors of this room.
template <class T>
Coro<T> on_disk(const Transfer& transfer, Future<T> future) {
    try {
        co_return co_await std::move(future);
    } catch (const std::system_error& failure) {
        throw transfer.state->error(ErrorKind::local_file, failure.what());
    }
}

/// The last part of a path; empty when it stands for no name of its own.
std::string base_name(std::string_view path) {
    while (path.size() > 1 && path.back() == '/') {
        path.remove_suffix(1);
    }
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return name == "." || name == ".." ? std::string() : std::string(name);
}

std::string join(const std::string& folder, const std::string& name) {
    return folder.empty() || folder.back() == '/' ? folder + name : folder + "/" + name;
}

std::uint32_t permissions_of(const SftpAttributes& attributes, std::uint32_t otherwise) {
    return attributes.permissions.value_or(otherwise) & permission_bits;
}

std::optional<FileTimes> times_of(const SftpAttributes& attributes) {
    if (!attributes.atime || !attributes.mtime) {
        return std::nullopt;
    }
    return FileTimes{*attributes.atime, *attributes.mtime};
}

SftpAttributes attributes_of(std::uint32_t permissions, const FileTimes& times) {
    SftpAttributes attributes;
    attributes.permissions = permissions;
    attributes.atime = times.atime;
    attributes.mtime = times.mtime;
    return attributes;
}

Coro<std::shared_ptr<SftpFileState>> open_remote(std::shared_ptr<SftpState> state, std::string path,
                                                 unsigned long flags, std::uint32_t permissions) {
    OpenPath work{.path = path, .flags = flags, .permissions = static_cast<long>(permissions)};
    work = co_await state->perform(std::move(work));
    co_return std::make_shared<SftpFileState>(state, std::move(work.handle), std::move(path));
}

Coro<SftpAttributes> stat_remote(const SftpFileState& file) {
    auto found = std::make_shared<SftpAttributes>();
    auto look = [found, handle = file.handle](SftpEngine& sftp) {
        return sftp.stat(*handle, *found);
    };
    Request request{"stat '" + file.path + "'", std::move(look)};
    co_await file.sftp->perform(std::move(request));
    co_return *found;
}

// --- from the device ---

/// Moves a file's bytes: while one block is written to the disk, the next comes in.
Coro<void> receive(Transfer& transfer, const SftpFileState& file, const SftpAttributes& attributes,
                   std::shared_ptr<LocalTarget> target) {
    const std::size_t block = static_cast<std::size_t>(std::clamp<std::uint64_t>(
        attributes.size.value_or(0) + 1, smallest_get, SftpEngine::read_size));
    const auto write = [](const std::shared_ptr<LocalTarget>& to, std::string data,
                          std::size_t size) {
        to->write(std::string_view(data).substr(0, size));
        return data;
    };
    std::string buffer(block, '\0');
    Future<std::string> writing;
    std::uint64_t done = 0;
    bool more = true;
    while (more) {
        ReadBlock work{.handle = file.handle,
                       .path = file.path,
                       .offset = done,
                       .limit = block,
                       .data = std::move(buffer)};
        work = co_await transfer.state->perform(std::move(work));
        more = !work.ended;
        done += work.size;
        buffer = writing.valid() ? co_await on_disk(transfer, std::exchange(writing, {}))
                                 : std::string(more ? block : 0, '\0');
        writing = run_in_executor(write, target, std::move(work.data), work.size);
        transfer.report(file.path, done, attributes.size);
    }
    co_await on_disk(transfer, std::move(writing));
    std::optional<std::uint32_t> permissions;
    std::optional<FileTimes> times;
    if (transfer.options.preserve) {
        permissions = attributes.permissions;
        times = times_of(attributes);
    }
    co_await on_disk(transfer, run_in_executor(&LocalTarget::keep, target, permissions, times));
    transfer.result.bytes += done;
    ++transfer.result.files;
}

/// Where the bytes go to, once it is known that there are any.
template <class MakeTarget>
Coro<void> get_file(Transfer& transfer, std::string remote, MakeTarget make_target) {
    const auto file = co_await open_remote(transfer.state, remote, LIBSSH2_FXF_READ, 0);
    const SftpAttributes attributes = co_await stat_remote(*file);
    if (attributes.type() == FileType::directory) {
        throw transfer.state->error(ErrorKind::file_failed,
                                    one_line("cannot read '" + remote + "': it is a folder"),
                                    "ask for it with .recursive = true");
    }
    const std::uint32_t permissions = permissions_of(attributes, default_file);
    const auto target = co_await on_disk(transfer, run_in_executor(make_target, permissions));
    std::exception_ptr error;
    try {
        co_await receive(transfer, *file, attributes, target);
    } catch (...) { // whatever it is, it is thrown again below
        error = std::current_exception();
    }
    if (error != nullptr) {
        co_await run_in_executor(&LocalTarget::discard, target);
        std::rethrow_exception(error);
    }
}

Coro<void> get_one(Transfer& transfer, std::string remote, std::string local) {
    const bool overwrite = transfer.options.overwrite;
    co_await get_file(
        transfer, remote, [local, overwrite, name = base_name(remote)](std::uint32_t permissions) {
            const LocalPlace place = find_place(local, name);
            return LocalFolder::open(place.folder)->create(place.name, permissions, overwrite);
        });
}

/// A hostile device could name a file so that it lands outside of the folder.
void check_name(const Transfer& transfer, const std::string& folder, const std::string& name) {
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
        throw transfer.state->error(ErrorKind::protocol,
                                    one_line("the device lists '" + name + "' in '" + folder +
                                             "', which would lead out of the folder"));
    }
}

Coro<void> get_folder(Transfer& transfer, std::string remote,
                      std::shared_ptr<const LocalFolder> local, std::size_t depth) {
    if (depth > deepest_folder) {
        throw transfer.state->error(ErrorKind::file_failed,
                                    "'" + remote + "' lies too deep in folders");
    }
    const bool overwrite = transfer.options.overwrite;
    const std::vector<SftpEntry> entries = co_await list_folder(transfer.state, remote);
    for (const SftpEntry& entry : entries) {
        check_name(transfer, remote, entry.name);
        const std::string path = join(remote, entry.name);
        SftpAttributes attributes = entry.attributes;
        if (attributes.type() == FileType::unknown) {
            attributes = (co_await find(transfer.state, path, LIBSSH2_SFTP_LSTAT))
                             .value_or(SftpAttributes());
        }
        switch (attributes.type()) {
        case FileType::directory: {
            const std::uint32_t permissions = permissions_of(attributes, default_folder);
            const auto make = [local, name = entry.name, permissions] {
                return local->make_folder(name, permissions | owner_can_use);
            };
            const auto folder = co_await on_disk(transfer, run_in_executor(make));
            co_await get_folder(transfer, path, folder, depth + 1);
            if (const auto times = times_of(attributes); transfer.options.preserve && times) {
                const auto set = [folder, permissions, times = *times] {
                    folder->set(permissions, times);
                };
                co_await on_disk(transfer, run_in_executor(set));
            }
            break;
        }
        case FileType::regular:
            co_await get_file(transfer, path,
                              [local, overwrite, name = entry.name](std::uint32_t permissions) {
                                  return local->create(name, permissions, overwrite);
                              });
            break;
        case FileType::symlink: {
            const std::string target =
                co_await resolve_link(transfer.state, path, LIBSSH2_SFTP_READLINK);
            if (!leads_inside(target, depth)) {
                transfer.result.skipped.push_back(path);
                break;
            }
            const auto link = [local, name = entry.name, target, overwrite] {
                local->link(name, target, overwrite);
            };
            co_await on_disk(transfer, run_in_executor(link));
            break;
        }
        default:
            transfer.result.skipped.push_back(path);
        }
    }
}

// --- to the device ---

/// Moves a file's bytes: while the device takes some, the next are read.
Coro<void> transmit(Transfer& transfer, const std::string& local,
                    std::shared_ptr<LocalSource> source, const SftpFileState& file) {
    const std::size_t blocks = static_cast<std::size_t>(
        std::min<std::uint64_t>(source->size() / put_block + 2, put_buffer));
    const auto buffer = std::make_shared<std::string>(blocks * put_block, '\0');
    const auto read = [](const std::shared_ptr<LocalSource>& from,
                         const std::shared_ptr<std::string>& to,
                         std::size_t at) { return from->read(to->data() + at, put_block); };
    WriteBlock work{.handle = file.handle, .path = file.path, .data = buffer};
    Future<std::size_t> reading = run_in_executor(read, source, buffer, std::size_t{0});
    bool ended = false;
    while (!ended) {
        const std::size_t got = co_await on_disk(transfer, std::exchange(reading, {}));
        work.tail += got;
        ended = got < put_block;
        if (!ended) {
            if (work.tail + put_block > buffer->size()) {
                std::memmove(buffer->data(), buffer->data() + work.head, work.tail - work.head);
                work.tail -= std::exchange(work.head, 0);
            }
            if (work.tail + put_block > buffer->size()) {
                buffer->resize(put_buffer * put_block); // the file has grown
            }
            reading = run_in_executor(read, source, buffer, work.tail);
        }
        const std::size_t goal = ended ? 0 : put_ahead * put_block;
        while (work.tail - work.head > goal) {
            const std::size_t unconfirmed = work.tail - work.head;
            work.keep = std::max(goal, unconfirmed - std::min(unconfirmed, put_block));
            work = co_await transfer.state->perform(std::move(work));
            transfer.report(local, work.offset, source->size());
        }
    }
    transfer.result.bytes += work.offset;
}

Coro<void> put_file(Transfer& transfer, std::string local, std::string remote,
                    std::shared_ptr<LocalSource> source, bool may_be_folder) {
    const unsigned long flags = LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT |
                                (transfer.options.overwrite ? LIBSSH2_FXF_TRUNC : LIBSSH2_FXF_EXCL);
    std::shared_ptr<SftpFileState> file;
    std::optional<Error> refused;
    try {
        file = co_await open_remote(transfer.state, remote, flags, source->permissions());
    } catch (const Error& error) {
        if (!may_be_folder || !transfer.state->session().usable()) {
            throw;
        }
        refused = error;
    }
    if (refused) {
        // Devices refuse to open a folder with no more than "failure".
        if (!is_folder(co_await find(transfer.state, remote, LIBSSH2_SFTP_STAT))) {
            throw Error(*refused);
        }
        remote = join(remote, base_name(local));
        file = co_await open_remote(transfer.state, remote, flags, source->permissions());
    }
    co_await transmit(transfer, local, source, *file);
    const auto handle = file->handle;
    if (transfer.options.preserve) {
        auto set = [handle, kept = attributes_of(source->permissions(), source->times())](
                       SftpEngine& sftp) { return sftp.set_attributes(*handle, kept); };
        Request request{"set permissions and times of '" + remote + "'", std::move(set)};
        co_await transfer.state->perform(std::move(request));
    }
    auto close = [handle](SftpEngine& sftp) { return sftp.close(*handle); };
    Request request{"write '" + remote + "'", std::move(close)};
    co_await transfer.state->perform(std::move(request));
    ++transfer.result.files;
}

Coro<std::shared_ptr<LocalSource>> open_source(const Transfer& transfer, std::string path) {
    const auto open = [path = std::move(path)] { return std::make_shared<LocalSource>(path); };
    co_return co_await on_disk(transfer, run_in_executor(open));
}

Coro<void> make_link(const Transfer& transfer, std::string target, std::string path) {
    auto link = [target, path](SftpEngine& sftp) { return sftp.symlink(target, path); };
    const std::string what = "make the symbolic link '" + path + "'";
    std::optional<Error> refused;
    try {
        Request request{what, link};
        co_await transfer.state->perform(std::move(request));
    } catch (const Error& error) {
        if (!transfer.options.overwrite || !transfer.state->session().usable()) {
            throw;
        }
        refused = error;
    }
    if (refused) {
        const auto there = co_await find(transfer.state, path, LIBSSH2_SFTP_LSTAT);
        if (!there || there->type() == FileType::directory) {
            throw Error(*refused);
        }
        Request removal{"replace '" + path + "'",
                        [path](SftpEngine& sftp) { return sftp.remove(path); }};
        co_await transfer.state->perform(std::move(removal));
        Request request{what, link};
        co_await transfer.state->perform(std::move(request));
    }
}

Coro<void> put_folder(Transfer& transfer, std::string local, std::string remote,
                      std::size_t depth) {
    co_await ensure_folder(transfer.state, remote, default_folder);
    const auto entries =
        co_await on_disk(transfer, run_in_executor([local] { return list_local(local); }));
    for (const LocalEntry& entry : entries) {
        const std::string from = join(local, entry.name);
        const std::string to = join(remote, entry.name);
        if (entry.type == LocalType::folder) {
            co_await put_folder(transfer, from, to, depth + 1);
        } else if (entry.type == LocalType::regular) {
            const auto source = co_await open_source(transfer, from);
            co_await put_file(transfer, from, to, source, false);
        } else if (entry.type == LocalType::link && leads_inside(entry.target, depth)) {
            co_await make_link(transfer, entry.target, to);
        } else {
            transfer.result.skipped.push_back(from);
        }
    }
    if (transfer.options.preserve) {
        const auto facts =
            co_await on_disk(transfer, run_in_executor([local] { return folder_facts(local); }));
        auto set = [remote, kept = attributes_of(facts.permissions, facts.times)](
                       SftpEngine& sftp) { return sftp.set_attributes(remote, kept); };
        Request request{"set permissions and times of '" + remote + "'", std::move(set)};
        co_await transfer.state->perform(std::move(request));
    }
}

} // namespace

Coro<std::optional<SftpAttributes>> find(std::shared_ptr<SftpState> state, std::string path,
                                         int kind) {
    auto found = std::make_shared<SftpAttributes>();
    auto look = [found, path, kind](SftpEngine& sftp) { return sftp.stat(path, kind, *found); };
    try {
        Request request{"stat '" + path + "'", std::move(look)};
        co_await state->perform(std::move(request));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::no_such_file) {
            throw;
        }
        co_return std::nullopt;
    }
    co_return *found;
}

Coro<std::vector<SftpEntry>> list_folder(std::shared_ptr<SftpState> state, std::string path) {
    OpenPath open{.path = path, .folder = true};
    open = co_await state->perform(std::move(open));
    const SftpFileState folder(state, std::move(open.handle), path);
    const std::size_t limit = state->options().max_entries;
    ReadFolder work{.handle = folder.handle, .path = path, .limit = limit};
    work = co_await state->perform(std::move(work));
    if (work.entries.size() > limit) {
        throw state->error(ErrorKind::file_failed,
                           "'" + path + "' holds more than " + std::to_string(limit) + " names",
                           "raise SftpOptions::max_entries");
    }
    co_return std::move(work.entries);
}

Coro<void> ensure_folder(std::shared_ptr<SftpState> state, std::string path,
                         std::uint32_t permissions) {
    std::optional<Error> refused;
    try {
        Request request{"make the folder '" + path + "'", [path, permissions](SftpEngine& sftp) {
                            return sftp.mkdir(path, static_cast<long>(permissions));
                        }};
        co_await state->perform(std::move(request));
    } catch (const Error& error) {
        if (!state->session().usable()) {
            throw;
        }
        refused = error;
    }
    if (refused && !is_folder(co_await find(state, path, LIBSSH2_SFTP_STAT))) {
        throw Error(*refused);
    }
}

Coro<std::string> resolve_link(std::shared_ptr<SftpState> state, std::string path, int kind) {
    auto result = std::make_shared<std::string>();
    const std::string what =
        kind == LIBSSH2_SFTP_READLINK ? "read the symbolic link '" : "resolve '";
    Request request{what + path + "'", [path, kind, result](SftpEngine& sftp) {
                        return sftp.resolve(path, kind, *result);
                    }};
    co_await state->perform(std::move(request));
    co_return *result;
}

Coro<Transferred> get_files(std::shared_ptr<SftpState> state, std::string remote, std::string local,
                            TransferOptions options) {
    Transfer transfer{std::move(state), std::move(options)};
    const bool folder = transfer.options.recursive &&
                        is_folder(co_await find(transfer.state, remote, LIBSSH2_SFTP_STAT));
    if (folder) {
        const auto make = [local] { return LocalFolder::make(local, default_folder); };
        const auto into = co_await on_disk(transfer, run_in_executor(make));
        co_await get_folder(transfer, remote, into, 0);
    } else {
        co_await get_one(transfer, remote, local);
    }
    co_return std::move(transfer.result);
}

Coro<Transferred> put_files(std::shared_ptr<SftpState> state, std::string local, std::string remote,
                            TransferOptions options) {
    Transfer transfer{std::move(state), std::move(options)};
    const auto type =
        co_await on_disk(transfer, run_in_executor([local] { return local_type(local); }));
    if (type == LocalType::folder && transfer.options.recursive) {
        co_await put_folder(transfer, local, remote, 0);
        co_return std::move(transfer.result);
    }
    if (type == LocalType::folder) {
        throw transfer.state->error(ErrorKind::local_file,
                                    "cannot read '" + local + "': it is a folder",
                                    "send it with .recursive = true");
    }
    const auto source = co_await open_source(transfer, local);
    co_await put_file(transfer, local, remote, source, true);
    co_return std::move(transfer.result);
}

} // namespace muster::ssh::detail
