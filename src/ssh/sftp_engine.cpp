#include "ssh/sftp_engine.hpp"

#include "ssh/one_line.hpp"
#include "ssh/wire.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace muster::ssh::detail {

namespace {

constexpr unsigned char message_channel_open_confirmation = 91;
constexpr unsigned char message_channel_eof = 96;
constexpr unsigned char message_channel_close = 97;
constexpr unsigned char sftp_status = 101;

/// libssh2 reads and writes in requests of so many bytes, as a constant.
constexpr std::size_t request_size = 30'000;

/// What a request to write needs besides the data, at most: the handle has up to 256 bytes.
constexpr std::size_t request_overhead = 25 + 256;

/// With a buffer of this size libssh2 has exactly one request to read under way.
constexpr std::size_t one_by_one_size = request_size / 4;

/// So much of the device's window is left to requests that do not write, if it is large.
constexpr std::size_t request_reserve = 32UL * 1024;

/// More is not handed to libssh2 at once.
constexpr std::size_t largest_share = 256UL * 1024;

constexpr std::size_t longest_name = 64UL * 1024;
constexpr std::size_t longest_words = 200;

SftpAttributes from_library(const LIBSSH2_SFTP_ATTRIBUTES& raw) {
    SftpAttributes attributes;
    if ((raw.flags & LIBSSH2_SFTP_ATTR_SIZE) != 0) {
        attributes.size = raw.filesize;
    }
    if ((raw.flags & LIBSSH2_SFTP_ATTR_UIDGID) != 0) {
        attributes.uid = static_cast<std::uint32_t>(raw.uid);
        attributes.gid = static_cast<std::uint32_t>(raw.gid);
    }
    if ((raw.flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) != 0) {
        attributes.permissions = static_cast<std::uint32_t>(raw.permissions);
    }
    if ((raw.flags & LIBSSH2_SFTP_ATTR_ACMODTIME) != 0) {
        attributes.atime = static_cast<std::uint32_t>(raw.atime);
        attributes.mtime = static_cast<std::uint32_t>(raw.mtime);
    }
    return attributes;
}

LIBSSH2_SFTP_ATTRIBUTES to_library(const SftpAttributes& attributes) {
    LIBSSH2_SFTP_ATTRIBUTES raw{};
    if (attributes.size) {
        raw.flags |= LIBSSH2_SFTP_ATTR_SIZE;
        raw.filesize = *attributes.size;
    }
    if (attributes.uid && attributes.gid) {
        raw.flags |= LIBSSH2_SFTP_ATTR_UIDGID;
        raw.uid = *attributes.uid;
        raw.gid = *attributes.gid;
    }
    if (attributes.permissions) {
        raw.flags |= LIBSSH2_SFTP_ATTR_PERMISSIONS;
        raw.permissions = *attributes.permissions;
    }
    if (attributes.atime && attributes.mtime) {
        raw.flags |= LIBSSH2_SFTP_ATTR_ACMODTIME;
        raw.atime = *attributes.atime;
        raw.mtime = *attributes.mtime;
    }
    return raw;
}

} // namespace

void SftpEngine::on_free(std::string_view bytes) noexcept {
    WireReader message(bytes);
    const unsigned char kind = message.byte();
    if (kind == sftp_status && !opening_) {
        // libssh2 keeps the number of a status and drops the words.
        message.uint32(); // the request
        const std::uint32_t status = message.uint32();
        if (message.ok()) {
            seen_status_ = status;
            seen_words_ = one_line(message.string(), longest_words);
        }
        return;
    }
    if (!opening_) {
        return;
    }
    const std::uint32_t channel = message.uint32();
    if (kind == message_channel_open_confirmation) {
        message.uint32(); // the device's number of the channel
        message.uint32(); // its window
        max_packet_ = message.uint32();
        channel_ = channel;
    } else if ((kind == message_channel_eof || kind == message_channel_close) &&
               channel == channel_) {
        give_up_ = true; // libssh2 would wait for more
    }
}

bool SftpEngine::on_starved() noexcept {
    // When it fails, libssh2_sftp_init of 1.10 repeats a call until that call needs no input.
    constexpr int for_ever = 1000;
    give_up_ = give_up_ || (opening_ && ++starved_ > for_ever);
    return give_up_;
}

int SftpEngine::open() {
    if (engine_.failure() != 0) {
        return engine_.failure();
    }
    if (!std::exchange(opening_, true)) {
        channel_ = no_channel;
    }
    int code = LIBSSH2_ERROR_EAGAIN;
    const auto init = [&](LIBSSH2_SESSION* session) {
        raw_ = libssh2_sftp_init(session);
        return raw_ != nullptr ? 0 : libssh2_session_last_errno(session);
    };
    do {
        starved_ = 0;
        code = engine_.watched(*this, init);
    } while (code == LIBSSH2_ERROR_EAGAIN && give_up_);
    if (code == LIBSSH2_ERROR_EAGAIN) {
        return code;
    }
    ++progress_;
    words_ = engine_.last_error();
    if (code != 0 && channel_ != no_channel) {
        if (libssh2_version(0x010b00) != nullptr) {
            // 1.11 wants one call more, which ends the channel.
            give_up_ = true;
            engine_.watched(*this, init);
        }
        // Whatever it was, the channel is gone, and the connection can go on.
        code = code == LIBSSH2_ERROR_CHANNEL_FAILURE ? code : LIBSSH2_ERROR_SFTP_PROTOCOL;
    }
    opening_ = false;
    give_up_ = false;
    if (raw_ != nullptr) {
        engine_.add_library_channel(libssh2_sftp_get_channel(raw_));
    }
    return code;
}

int SftpEngine::shutdown() {
    if (engine_.failure() != 0) {
        return engine_.failure();
    }
    while (raw_ != nullptr && !handles_.empty() && !broken_) {
        const std::shared_ptr<SftpHandle> last = handles_.back();
        if (const int code = close(*last); code == LIBSSH2_ERROR_EAGAIN || is_fatal(code)) {
            return code;
        }
    }
    for (const auto& handle : handles_) {
        handle->raw = nullptr; // libssh2 has lost its way; the memory goes with the session
    }
    handles_.clear();
    const int code =
        engine_.watched(*this, [this](LIBSSH2_SESSION* /*session*/) { return close_channel(); });
    progress_ += code == LIBSSH2_ERROR_EAGAIN ? 0 : 1;
    return code;
}

// libssh2 believes a channel to be closed as soon as anything has come. Who opens the next one then
// is too early for dropbear, which ends the new one with the old one's program.
int SftpEngine::close_channel() {
    if (raw_ != nullptr) {
        LIBSSH2_CHANNEL* channel = libssh2_sftp_get_channel(raw_);
        const int code = libssh2_channel_close(channel);
        if (code == LIBSSH2_ERROR_EAGAIN) {
            return code;
        }
        // libssh2's SFTP goes when its channel is closed; answers that nobody has asked for stay as
        // long as the session.
        raw_ = nullptr;
        closing_ = channel;
        if (is_fatal(code)) {
            return code;
        }
    }
    if (closing_ == nullptr) {
        return 0;
    }
    for (const auto wait : {libssh2_channel_wait_eof, libssh2_channel_wait_closed}) {
        if (const int code = wait(closing_); code == LIBSSH2_ERROR_EAGAIN || is_fatal(code)) {
            return code;
        }
    }
    engine_.remove_library_channel(closing_);
    return libssh2_channel_free(std::exchange(closing_, nullptr));
}

int SftpEngine::conclude(int code) {
    refusal_.reset();
    if (code >= 0) {
        ++progress_;
        return code;
    }
    switch (code) {
    case LIBSSH2_ERROR_EAGAIN:
        if (libssh2_channel_eof(libssh2_sftp_get_channel(raw_)) == 1) {
            broken_ = true; // no answer will come
            return LIBSSH2_ERROR_CHANNEL_CLOSED;
        }
        return code;
    case LIBSSH2_ERROR_SFTP_PROTOCOL:
        if (seen_status_) {
            ++progress_;
            const unsigned long status = libssh2_sftp_last_error(raw_);
            refusal_ = status != 0 ? status : *seen_status_;
            words_ = *refusal_ == *seen_status_ ? seen_words_ : std::string();
            return code;
        }
        [[fallthrough]];
    case LIBSSH2_ERROR_BUFFER_TOO_SMALL:
    case LIBSSH2_ERROR_CHANNEL_PACKET_EXCEEDED:
    case LIBSSH2_ERROR_OUT_OF_BOUNDARY:
    case LIBSSH2_ERROR_ALLOC: // an answer of no bytes
        words_ = engine_.last_error();
        broken_ = true;
        return LIBSSH2_ERROR_SFTP_PROTOCOL;
    default:
        return code;
    }
}

template <class F>
int SftpEngine::call(F function) {
    if (engine_.failure() != 0) {
        return engine_.failure();
    }
    if (raw_ == nullptr || broken_) {
        refusal_.reset();
        return LIBSSH2_ERROR_CHANNEL_CLOSED;
    }
    seen_status_.reset();
    return conclude(engine_.watched(*this, [&](LIBSSH2_SESSION* session) -> int {
        if constexpr (requires { function(session); }) {
            return static_cast<int>(function(session));
        } else {
            return static_cast<int>(function());
        }
    }));
}

template <class F>
int SftpEngine::call_on(const SftpHandle& handle, F function) {
    return call([&] { return handle.raw != nullptr ? function() : error_handle_closed; });
}

// A security update of libssh2 (CVE-2025-15661, Debian's 1.10.0-3+deb12u1) takes the number of the
// request for the status of the answer. The status itself has passed by here.
template <class F>
int SftpEngine::call_link(F function) {
    const int code = call(function);
    if (!seen_status_ || (code != 0 && !refusal_)) {
        return code;
    }
    refusal_.reset();
    if (*seen_status_ == LIBSSH2_FX_OK) {
        return 0;
    }
    refusal_ = seen_status_;
    words_ = seen_words_;
    return LIBSSH2_ERROR_SFTP_PROTOCOL;
}

template <class F>
int SftpEngine::open_handle(std::shared_ptr<SftpHandle>& handle, F function) {
    LIBSSH2_SFTP_HANDLE* raw = nullptr;
    const int code = call([&](LIBSSH2_SESSION* session) {
        raw = function();
        return raw != nullptr ? 0 : libssh2_session_last_errno(session);
    });
    if (code == 0) {
        handle = std::make_shared<SftpHandle>();
        handle->raw = raw;
        handles_.push_back(handle);
    }
    return code;
}

int SftpEngine::open_file(const std::string& path, unsigned long flags, long permissions,
                          std::shared_ptr<SftpHandle>& handle) {
    return open_handle(handle, [&] {
        return libssh2_sftp_open_ex(raw_, path.c_str(), length_of(path), flags, permissions,
                                    LIBSSH2_SFTP_OPENFILE);
    });
}

int SftpEngine::open_folder(const std::string& path, std::shared_ptr<SftpHandle>& handle) {
    return open_handle(handle, [&] {
        return libssh2_sftp_open_ex(raw_, path.c_str(), length_of(path), 0, 0,
                                    LIBSSH2_SFTP_OPENDIR);
    });
}

int SftpEngine::close(SftpHandle& handle) {
    if (handle.raw == nullptr) {
        return 0;
    }
    const int code = call_on(handle, [&] { return libssh2_sftp_close_handle(handle.raw); });
    if (code != LIBSSH2_ERROR_EAGAIN) {
        handle.raw = nullptr; // freed, even when the device reports an error
        std::erase_if(handles_, [&](const auto& open) { return open.get() == &handle; });
    }
    return code;
}

// libssh2 goes where it is told only if it believes itself to be elsewhere; else it keeps what it
// knows, the end of the file for example.
void SftpEngine::seek(SftpHandle& handle, SftpHandle::Mode mode, std::uint64_t offset) {
    if (handle.raw == nullptr || (handle.mode == mode && handle.at == offset)) {
        return;
    }
    libssh2_sftp_seek64(handle.raw, offset + 1);
    libssh2_sftp_seek64(handle.raw, offset);
    handle.mode = mode;
    handle.at = offset;
}

int SftpEngine::read(SftpHandle& handle, std::uint64_t offset, char* buffer, std::size_t size) {
    for (;;) {
        seek(handle, SftpHandle::Mode::reading, offset);
        // Many requests under way need room to be sent.
        const bool narrow = handle.one_by_one || largest_window_ < 2 * request_reserve;
        const std::size_t share = std::min(size, narrow ? one_by_one_size : read_size);
        const int code =
            call_on(handle, [&] { return libssh2_sftp_read(handle.raw, buffer, share); });
        if (code > 0) {
            handle.at += static_cast<std::size_t>(code);
            return code;
        }
        if (code == LIBSSH2_ERROR_EAGAIN) {
            return code;
        }
        if (code == LIBSSH2_ERROR_TIMEOUT) {
            return LIBSSH2_ERROR_EAGAIN; // of 1.10 itself; the request is under way still
        }
        handle.mode = SftpHandle::Mode::none;
        if (code != LIBSSH2_ERROR_SFTP_PROTOCOL || refusal_ || handle.one_by_one) {
            return code;
        }
        // A device may give less than was asked for, as /proc does. libssh2 then finds that what
        // it asked for next does not follow, and fails. One request after the other, it does not.
        handle.one_by_one = true;
        broken_ = false;
    }
}

// How much the device takes now.
std::size_t SftpEngine::window() {
    LIBSSH2_CHANNEL* channel = libssh2_sftp_get_channel(raw_);
    // To see what has arrived; that stream has no data for us.
    char byte = 0;
    engine_.watched(*this, [&](LIBSSH2_SESSION* /*session*/) {
        return libssh2_channel_read_ex(channel, SSH_EXTENDED_DATA_STDERR, &byte, 1);
    });
    const std::size_t open = libssh2_channel_window_write_ex(channel, nullptr);
    largest_window_ = std::max(largest_window_, open);
    return open;
}

// What is left to requests that do not write. OpenSSH says that the window is 0 and opens it a
// moment later: how large it is shows from what was seen of it.
std::size_t SftpEngine::reserve() const noexcept {
    return std::min(largest_window_ / 4, request_reserve);
}

int SftpEngine::await_room() {
    if (engine_.failure() != 0 || raw_ == nullptr || broken_) {
        return 0;
    }
    const std::size_t open = window();
    return open > 0 && open >= reserve() / 2 ? 0 : conclude(LIBSSH2_ERROR_EAGAIN);
}

// A request is handed to libssh2 only if it fits into the window and a packet as a whole: when a
// write fails, libssh2 forgets what it has not sent yet, and half a request would stay behind.
std::size_t SftpEngine::room(std::size_t wanted) {
    constexpr std::size_t whole = request_size + request_overhead;
    const std::size_t all = window();
    const std::size_t ours = all - std::min(all, reserve());
    std::size_t fitting = ours / whole * request_size;
    if (fitting == 0 && ours > request_overhead) {
        fitting = ours - request_overhead;
    }
    if (max_packet_ < whole) {
        fitting = std::min(fitting, max_packet_ - std::min(max_packet_, request_overhead));
    }
    return std::min({wanted, fitting, largest_share});
}

int SftpEngine::write(SftpHandle& handle, std::uint64_t offset, const char* data, std::size_t size,
                      bool more) {
    if (engine_.failure() != 0 || raw_ == nullptr || broken_ || handle.raw == nullptr) {
        return call_on(handle, [] { return 0; }); // says which of these it is
    }
    seek(handle, SftpHandle::Mode::writing, offset);
    // While it waits for an answer, libssh2 does not look at what was added.
    const bool add = more && !handle.awaits_answer && size > handle.handed;
    const std::size_t added = add ? room(size - handle.handed) : 0;
    if (handle.handed + added == 0) {
        return LIBSSH2_ERROR_EAGAIN;
    }
    handle.handed += added;
    const int code =
        call_on(handle, [&] { return libssh2_sftp_write(handle.raw, data, handle.handed); });
    handle.awaits_answer = code == LIBSSH2_ERROR_EAGAIN;
    if (code > 0) {
        handle.handed -= static_cast<std::size_t>(code);
        handle.at += static_cast<std::size_t>(code);
    } else if (code < 0 && code != LIBSSH2_ERROR_EAGAIN) {
        handle.handed = 0;
        handle.mode = SftpHandle::Mode::none;
    }
    return code == 0 ? LIBSSH2_ERROR_EAGAIN : code;
}

int SftpEngine::next_entry(SftpHandle& handle, SftpEntry& entry) {
    static thread_local std::array<char, longest_name> name;
    LIBSSH2_SFTP_ATTRIBUTES raw{};
    const int code = call_on(handle, [&] {
        return libssh2_sftp_readdir_ex(handle.raw, name.data(), name.size(), nullptr, 0, &raw);
    });
    if (code > 0) {
        entry.name.assign(name.data(), static_cast<std::size_t>(code));
        entry.attributes = from_library(raw);
    }
    return code;
}

int SftpEngine::stat(const std::string& path, int kind, SftpAttributes& attributes) {
    LIBSSH2_SFTP_ATTRIBUTES raw{};
    const int code =
        call([&] { return libssh2_sftp_stat_ex(raw_, path.c_str(), length_of(path), kind, &raw); });
    if (code == 0) {
        attributes = from_library(raw);
    }
    return code;
}

int SftpEngine::stat(SftpHandle& handle, SftpAttributes& attributes) {
    LIBSSH2_SFTP_ATTRIBUTES raw{};
    const int code = call_on(handle, [&] { return libssh2_sftp_fstat_ex(handle.raw, &raw, 0); });
    if (code == 0) {
        attributes = from_library(raw);
    }
    return code;
}

int SftpEngine::set_attributes(const std::string& path, const SftpAttributes& attributes) {
    LIBSSH2_SFTP_ATTRIBUTES raw = to_library(attributes);
    return call([&] {
        return libssh2_sftp_stat_ex(raw_, path.c_str(), length_of(path), LIBSSH2_SFTP_SETSTAT,
                                    &raw);
    });
}

int SftpEngine::set_attributes(SftpHandle& handle, const SftpAttributes& attributes) {
    LIBSSH2_SFTP_ATTRIBUTES raw = to_library(attributes);
    return call_on(handle, [&] { return libssh2_sftp_fstat_ex(handle.raw, &raw, 1); });
}

int SftpEngine::sync(SftpHandle& handle) {
    return call_on(handle, [&] { return libssh2_sftp_fsync(handle.raw); });
}

int SftpEngine::mkdir(const std::string& path, long permissions) {
    return call(
        [&] { return libssh2_sftp_mkdir_ex(raw_, path.c_str(), length_of(path), permissions); });
}

int SftpEngine::rmdir(const std::string& path) {
    return call([&] { return libssh2_sftp_rmdir_ex(raw_, path.c_str(), length_of(path)); });
}

int SftpEngine::remove(const std::string& path) {
    return call([&] { return libssh2_sftp_unlink_ex(raw_, path.c_str(), length_of(path)); });
}

int SftpEngine::rename(const std::string& from, const std::string& to) {
    return call([&] {
        return libssh2_sftp_rename_ex(raw_, from.c_str(), length_of(from), to.c_str(),
                                      length_of(to), 0);
    });
}

int SftpEngine::symlink(const std::string& target, const std::string& path) {
    return call_link([&] {
        return libssh2_sftp_symlink_ex(raw_, target.c_str(), length_of(target),
                                       const_cast<char*>(path.c_str()), // only read
                                       length_of(path), LIBSSH2_SFTP_SYMLINK);
    });
}

int SftpEngine::resolve(const std::string& path, int kind, std::string& result) {
    static thread_local std::array<char, longest_name> buffer;
    const int code = call_link([&] {
        return libssh2_sftp_symlink_ex(raw_, path.c_str(), length_of(path), buffer.data(),
                                       length_of({buffer.data(), buffer.size()}), kind);
    });
    if (code >= 0) {
        result.assign(buffer.data(), static_cast<std::size_t>(code));
    }
    return code;
}

} // namespace muster::ssh::detail
