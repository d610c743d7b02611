#pragma once
/// SFTP without I/O: libssh2's calls as steps of an Engine.

#include "ssh/engine.hpp"

#include <muster/ssh/sftp.hpp>

#include <libssh2_sftp.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh::detail {

/// The result of a step on a handle that was closed.
constexpr int error_handle_closed = LIBSSH2_ERROR_INVAL;

/// A file or folder that is open on the device.
struct SftpHandle {
    LIBSSH2_SFTP_HANDLE* raw = nullptr; ///< null once it is closed

    // What libssh2 is at: it goes on with requests for what follows, until it is told otherwise.
    enum class Mode : std::uint8_t { none, reading, writing } mode = Mode::none;
    std::uint64_t at = 0;
    bool one_by_one = false;    ///< the device gives less than was asked for: see `read`
    std::size_t handed = 0;     ///< bytes that libssh2 was given to write and has not confirmed
    bool awaits_answer = false; ///< the last call of libssh2_sftp_write wants to be repeated
};

/// libssh2's SFTP on one channel of an engine. The functions are steps as those of the engine, and
/// must not overlap: their operations have the SftpEngine as key, `open` the engine. After a
/// negative result, `refusal` and `words` tell more.
class SftpEngine final : private CallWatch {
public:
    explicit SftpEngine(Engine& engine) noexcept : engine_(engine) {}

    SftpEngine(const SftpEngine&) = delete;
    SftpEngine& operator=(const SftpEngine&) = delete;

    /// What libssh2 asks for at once: a fourth of what it has under way.
    static constexpr std::size_t read_size = 512UL * 1024;

    int open(); // (session)

    /// Whether the device would take a request now: 0, else LIBSSH2_ERROR_EAGAIN. To be asked
    /// before an operation begins: most requests are lost in libssh2 when they can be sent only in
    /// part.
    int await_room();
    /// Closes what is open, then the channel.
    int shutdown();

    int open_file(const std::string& path, unsigned long flags, long permissions,
                  std::shared_ptr<SftpHandle>& handle);
    int open_folder(const std::string& path, std::shared_ptr<SftpHandle>& handle);
    int close(SftpHandle& handle);

    /// Bytes read at `offset`, at most `size`; 0 at the end of the file. A reader that goes on
    /// where it was and gives the same size keeps four times as much under way.
    int read(SftpHandle& handle, std::uint64_t offset, char* buffer, std::size_t size);

    /// Bytes confirmed, at least one. `data` is what follows the last confirmed byte, all that is
    /// there: libssh2 takes as much of it as the device lets it have. With `more` false nothing new
    /// is sent.
    int write(SftpHandle& handle, std::uint64_t offset, const char* data, std::size_t size,
              bool more);

    /// The next name; 0 when there is none.
    int next_entry(SftpHandle& handle, SftpEntry& entry);

    int stat(const std::string& path, int kind, SftpAttributes& attributes);
    int stat(SftpHandle& handle, SftpAttributes& attributes);
    int set_attributes(const std::string& path, const SftpAttributes& attributes);
    int set_attributes(SftpHandle& handle, const SftpAttributes& attributes);
    int sync(SftpHandle& handle);
    int mkdir(const std::string& path, long permissions);
    int rmdir(const std::string& path);
    int remove(const std::string& path);
    int rename(const std::string& from, const std::string& to);
    int symlink(const std::string& target, const std::string& path);
    int resolve(const std::string& path, int kind, std::string& result);

    /// The status with which the device refused the last call; nothing when it did not.
    [[nodiscard]] std::optional<unsigned long> refusal() const noexcept { return refusal_; }

    /// The device's words with that status, or libssh2's about another failure.
    [[nodiscard]] const std::string& words() const noexcept { return words_; }

    /// Counts everything that goes on.
    [[nodiscard]] std::uint64_t progress() const noexcept { return progress_; }

private:
    template <class F>
    int call(F function);
    template <class F>
    int call_on(const SftpHandle& handle, F function);
    template <class F>
    int call_link(F function);
    template <class F>
    int open_handle(std::shared_ptr<SftpHandle>& handle, F function);
    int close_channel();
    int conclude(int code);
    void seek(SftpHandle& handle, SftpHandle::Mode mode, std::uint64_t offset);
    [[nodiscard]] std::size_t window();
    [[nodiscard]] std::size_t reserve() const noexcept;
    [[nodiscard]] std::size_t room(std::size_t wanted);

    void on_free(std::string_view bytes) noexcept override;
    bool on_starved() noexcept override;

    static constexpr std::uint32_t no_channel = std::numeric_limits<std::uint32_t>::max();

    Engine& engine_;
    LIBSSH2_SFTP* raw_ = nullptr;
    LIBSSH2_CHANNEL* closing_ = nullptr; // in place of it, until the device has closed it, too
    std::vector<std::shared_ptr<SftpHandle>> handles_;
    std::optional<unsigned long> refusal_;
    std::string words_;
    std::uint64_t progress_ = 0;
    std::size_t max_packet_ = 0;
    std::size_t largest_window_ = 0;

    // While it opens.
    bool opening_ = false;
    bool give_up_ = false;
    std::uint32_t channel_ = no_channel;
    int starved_ = 0;

    // While a call runs: the last status that the device sent.
    std::optional<unsigned long> seen_status_;
    std::string seen_words_;

    bool broken_ = false; // libssh2 has lost track of the protocol, or the device has ended it
};

} // namespace muster::ssh::detail
