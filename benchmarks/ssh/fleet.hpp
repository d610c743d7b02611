#pragma once
/// Virtual devices to connect to.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bench {

/// How to log in to all of them with a key: an ed25519 key of this process.
struct UserKey {
    std::string pem;         ///< the private key, as PKCS #8
    std::string raw;         ///< its 32 bytes
    std::string blob;        ///< the public key, as SSH has it
    std::string public_line; ///< for authorized_keys
};

const UserKey& user_key();

inline constexpr const char* user_name = "admin";
inline constexpr const char* user_password = "admin";

/// What each session runs, and how much that prints at least.
inline constexpr const char* session_command = "show running-config";
inline constexpr std::size_t session_output = 4096;

/// A fleet in a process of its own, on another processor, while this lives.
class Fleet {
public:
    /// `slow` of the devices have nothing but diffie-hellman-group16-sha512. Throws
    /// std::runtime_error.
    explicit Fleet(std::size_t devices, std::size_t slow = 0);
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;
    ~Fleet();

    struct Device {
        std::string host;
        std::uint16_t port = 0;
        std::string host_key; ///< as SSH has it
    };

    [[nodiscard]] const std::vector<Device>& devices() const noexcept { return devices_; }

    /// The device of the session of this number: all have their turn.
    [[nodiscard]] const Device& device(std::size_t session) const noexcept {
        return devices_[session % devices_.size()];
    }

    /// OpenSSH's known_hosts, with all of them.
    [[nodiscard]] std::string known_hosts() const { return folder_ / "known_hosts"; }

    /// The file of the key that user_key() is.
    [[nodiscard]] std::string key_file() const { return folder_ / "key"; }

private:
    void start(std::size_t devices, std::size_t slow);
    void read_devices();
    void stop() noexcept;

    std::filesystem::path folder_;
    std::vector<Device> devices_;
    pid_t process_ = -1;
    int input_ = -1;
};

} // namespace bench
