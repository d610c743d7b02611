#pragma once
/// Whole files and folders over SFTP.

#include "ssh/sftp_work.hpp"

#include <muster/core/coro.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace muster::ssh::detail {

Coro<Transferred> get_files(std::shared_ptr<SftpState> state, std::string remote, std::string local,
                            TransferOptions options);

Coro<Transferred> put_files(std::shared_ptr<SftpState> state, std::string local, std::string remote,
                            TransferOptions options);

/// What is there; nothing when the device says that there is none. `kind`: LIBSSH2_SFTP_STAT or
/// LIBSSH2_SFTP_LSTAT.
Coro<std::optional<SftpAttributes>> find(std::shared_ptr<SftpState> state, std::string path,
                                         int kind);

Coro<std::vector<SftpEntry>> list_folder(std::shared_ptr<SftpState> state, std::string path);

/// Makes a folder; one that exists is fine.
Coro<void> ensure_folder(std::shared_ptr<SftpState> state, std::string path,
                         std::uint32_t permissions);

Coro<std::string> resolve_link(std::shared_ptr<SftpState> state, std::string path, int kind);

/// Whether there is a folder; links are followed.
inline bool is_folder(const std::optional<SftpAttributes>& attributes) noexcept {
    return attributes && attributes->type() == FileType::directory;
}

} // namespace muster::ssh::detail
