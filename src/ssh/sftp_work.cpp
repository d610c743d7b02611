#include "ssh/sftp_work.hpp"

#include <algorithm>
#include <utility>

namespace muster::ssh::detail {

int OpenPath::step(SftpState& state) {
    if (handle == nullptr) {
        const int code = folder ? state.sftp().open_folder(path, handle)
                                : state.sftp().open_file(path, flags, permissions, handle);
        if (code != 0 || !abandoned) {
            return code;
        }
    }
    return state.sftp().close(*handle); // nobody would
}

int ReadBlock::step(SftpState& state) {
    while (size < limit) {
        if (size == data.size()) {
            data.resize(std::min(limit, std::max(2 * size, SftpEngine::read_size)));
        }
        const int code =
            state.sftp().read(*handle, offset + size, data.data() + size, data.size() - size);
        if (code < 0) {
            return code;
        }
        ended = code == 0;
        size += static_cast<std::size_t>(code);
        if (ended || abandoned) {
            break;
        }
    }
    return 0;
}

int WriteBlock::step(SftpState& state) {
    // What one run of the engine makes is sent after it: it has a limit as the backlog has.
    constexpr std::size_t enough_output = 256UL * 1024;
    const Engine& engine = state.session().engine();
    while (tail - head > keep) {
        if (abandoned && handle->handed == 0) {
            break;
        }
        const bool more = !abandoned && !state.session().congested() &&
                          (handle->handed == 0 || engine.output_size() < enough_output);
        const int code =
            state.sftp().write(*handle, offset, data->data() + head, tail - head, more);
        if (code < 0) {
            return code;
        }
        head += static_cast<std::size_t>(code);
        offset += static_cast<std::size_t>(code);
    }
    return 0;
}

int ReadFolder::step(SftpState& state) {
    while (entries.size() <= limit && !abandoned) {
        SftpEntry entry;
        const int code = state.sftp().next_entry(*handle, entry);
        if (code <= 0) {
            return code;
        }
        if (entry.name != "." && entry.name != "..") {
            entries.push_back(std::move(entry));
        }
    }
    return 0;
}

} // namespace muster::ssh::detail
