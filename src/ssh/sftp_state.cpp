#include "ssh/sftp_state.hpp"

#include "ssh/one_line.hpp"
#include "ssh/sftp_work.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>

namespace muster::ssh::detail {

namespace {

/// Between two looks at whether anything has gone on: a fraction of the limit.
constexpr int checks = 4;

/// The statuses of SFTP 3 to 6: OpenSSH sends the first nine.
std::string_view status_text(unsigned long status) noexcept {
    switch (status) {
    case LIBSSH2_FX_EOF:
        return "the end of the file";
    case LIBSSH2_FX_NO_SUCH_FILE:
    case LIBSSH2_FX_NO_SUCH_PATH:
        return "no such file";
    case LIBSSH2_FX_PERMISSION_DENIED:
        return "permission denied";
    case LIBSSH2_FX_FAILURE:
        return "failure";
    case LIBSSH2_FX_BAD_MESSAGE:
        return "bad message";
    case LIBSSH2_FX_NO_CONNECTION:
        return "no connection";
    case LIBSSH2_FX_CONNECTION_LOST:
        return "connection lost";
    case LIBSSH2_FX_OP_UNSUPPORTED:
        return "operation unsupported";
    case LIBSSH2_FX_INVALID_HANDLE:
        return "invalid handle";
    case LIBSSH2_FX_FILE_ALREADY_EXISTS:
        return "file already exists";
    case LIBSSH2_FX_WRITE_PROTECT:
        return "write protected";
    case LIBSSH2_FX_NO_MEDIA:
        return "no media";
    case LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM:
        return "no space on filesystem";
    case LIBSSH2_FX_QUOTA_EXCEEDED:
        return "quota exceeded";
    case LIBSSH2_FX_DIR_NOT_EMPTY:
        return "directory not empty";
    case LIBSSH2_FX_NOT_A_DIRECTORY:
        return "not a directory";
    case LIBSSH2_FX_INVALID_FILENAME:
        return "invalid filename";
    case LIBSSH2_FX_LINK_LOOP:
        return "link loop";
    default:
        return "an unknown status";
    }
}

ErrorKind status_kind(unsigned long status) noexcept {
    switch (status) {
    case LIBSSH2_FX_NO_SUCH_FILE:
    case LIBSSH2_FX_NO_SUCH_PATH:
        return ErrorKind::no_such_file;
    case LIBSSH2_FX_PERMISSION_DENIED:
    case LIBSSH2_FX_WRITE_PROTECT:
        return ErrorKind::permission_denied;
    default:
        return ErrorKind::file_failed;
    }
}

bool same_words(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

} // namespace

SftpState::SftpState(std::shared_ptr<Session> session, SftpOptions options)
    : session_(std::move(session)), sftp_(session_->engine()), options_(options) {}

void SftpState::end() {
    closed = true;
    perform_in_background(Request{std::string(), [](SftpEngine& sftp) { return sftp.shutdown(); }});
}

Error SftpState::explain(const Outcome& outcome, const std::string& task) const {
    const std::string cannot = "cannot " + one_line(task) + ": ";
    if (timed_out_) {
        const auto limit =
            std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout.value());
        return error(ErrorKind::timeout,
                     cannot + "nothing moved within " + std::to_string(limit.count()) + " ms");
    }
    if (outcome.refusal) {
        std::string reason(status_text(*outcome.refusal));
        if (!outcome.words.empty() && !same_words(outcome.words, reason)) {
            reason += ", '" + outcome.words + "'";
        }
        return error(status_kind(*outcome.refusal), cannot + reason);
    }
    switch (outcome.code) {
    case LIBSSH2_ERROR_SFTP_PROTOCOL:
        return error(ErrorKind::protocol,
                     cannot + "the device does not follow the SFTP protocol: " + outcome.words);
    case error_handle_closed:
        return error(ErrorKind::closed, cannot + "the file was closed");
    case LIBSSH2_ERROR_CHANNEL_CLOSED:
        return error(ErrorKind::closed,
                     cannot + (closed ? "the SFTP session was closed"
                                      : "the device has ended the SFTP session"));
    case LIBSSH2_ERROR_TIMEOUT:
        return error(ErrorKind::timeout, cannot + "libssh2 has waited for 60 seconds");
    default:
        return session_->explain(Phase::transfer, outcome.code);
    }
}

void SftpState::watch(int more) {
    if (!options_.timeout.limited()) {
        return;
    }
    const bool idle = waiting_ == 0;
    waiting_ += more;
    if (waiting_ == 0) {
        watchdog_.cancel();
    } else if (idle) {
        seen_progress_ = sftp_.progress();
        quiet_checks_ = 0;
        arm();
    }
}

void SftpState::arm() {
    watchdog_ =
        get_running_loop().call_later(options_.timeout.value() / checks, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) {
                self->check_progress();
            }
        });
}

void SftpState::check_progress() {
    if (std::exchange(seen_progress_, sftp_.progress()) != sftp_.progress()) {
        quiet_checks_ = 0;
    } else if (++quiet_checks_ == checks) {
        timed_out_ = session_->usable();
        session_->abort("an SFTP operation was cut off by its deadline");
        return;
    }
    arm();
}

SftpFileState::~SftpFileState() {
    if (handle != nullptr && handle->raw != nullptr) {
        sftp->perform_in_background(Request{std::string(), [handle = handle](SftpEngine& engine) {
                                                return engine.close(*handle);
                                            }});
    }
}

} // namespace muster::ssh::detail
