#pragma once
/// What the two sides of a key exchange offered, read from the bytes on the wire before encryption
/// begins, so that a failed negotiation can be explained.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh::detail {

/// The name-lists of SSH_MSG_KEXINIT (RFC 4253 section 7.1) that matter to us.
struct KexInit {
    std::vector<std::string> kex;
    std::vector<std::string> host_key;
    std::vector<std::string> cipher_to_server;
    std::vector<std::string> cipher_to_client;
    std::vector<std::string> mac_to_server;
    std::vector<std::string> mac_to_client;
};

/// Follows the start of one direction of a connection: identification line, then KEXINIT.
class KexInitReader {
public:
    /// Takes the next bytes; cheap once the message was seen.
    void feed(std::string_view bytes);

    /// "SSH-2.0-OpenSSH_9.2", once it has come.
    [[nodiscard]] const std::string& identification() const noexcept { return identification_; }

    /// So much has come without an identification line that none is to be expected.
    [[nodiscard]] bool is_nonsense() const noexcept { return done_ && identification_.empty(); }

    /// It speaks version 1 of the protocol only; "SSH-1.99" stands for both.
    [[nodiscard]] bool is_version_1() const noexcept {
        return identification_.starts_with("SSH-1.") && !identification_.starts_with("SSH-1.99");
    }

    /// Empty until the whole message was seen. Taken apart here and not before: it is wanted only
    /// when something has gone wrong.
    [[nodiscard]] std::optional<KexInit> message() const;

    /// The first of `names` that is among the message's key exchange methods; empty: none is, or
    /// the message was not seen.
    [[nodiscard]] std::string_view
    first_shared_kex(const std::vector<std::string_view>& names) const noexcept;

    void forget_message() noexcept { lists_ = std::string(); }

    /// What came instead of an identification line: the start of it, printable characters only.
    [[nodiscard]] std::string garbage() const;

private:
    bool parse_lines();
    void parse_packet();

    std::string buffer_;
    std::size_t read_over_ = 0; // bytes of lines before the identification
    std::string first_line_;
    std::string identification_;
    std::string lists_; // those of the message, still as one text
    bool done_ = false;
};

/// Why the two offers do not meet: "key exchange: the device offers only a, b; we offer c". Empty
/// when they do.
std::string explain_mismatch(const KexInit& ours, const KexInit& theirs);

/// "a,b" as a list.
std::vector<std::string> split_names(std::string_view names);

/// The names as one list for people: "a, b".
std::string join_names(const std::vector<std::string>& names, std::string_view separator = ", ");
std::string join_names(const std::vector<std::string_view>& names,
                       std::string_view separator = ", ");

} // namespace muster::ssh::detail
