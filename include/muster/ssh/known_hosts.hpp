#pragma once
/// Which host keys are trusted: OpenSSH's known_hosts files (sshd(8), "SSH_KNOWN_HOSTS FILE
/// FORMAT").

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace muster::ssh {

/// The SHA-256 fingerprint of a public key in wire format, as OpenSSH prints it: "SHA256:" and
/// unpadded base64.
std::string fingerprint(std::string_view key);

/// The type named inside a public key in wire format ("ssh-ed25519"); empty when it is malformed.
std::string key_type(std::string_view key);

/// The name a known_hosts file uses for a host: "r1", or "[r1]:2222" for a port other than 22.
std::string known_hosts_name(std::string_view host, std::uint16_t port);

/// What known_hosts says about a key that a host presents.
enum class HostKeyStatus {
    match,   ///< this key is trusted for this host
    unknown, ///< the host is not listed
    changed, ///< the host is listed, but with other keys only: refuse
    revoked, ///< the key is marked @revoked: refuse
};

/// The verdict of `KnownHosts::check`, with what an error message needs.
struct HostKeyVerdict {
    HostKeyStatus status = HostKeyStatus::unknown;
    std::string fingerprint;       ///< of the presented key
    std::string type;              ///< of the presented key
    std::string known_fingerprint; ///< changed: of the key in the file
    std::string known_type;        ///< changed: of the key in the file
    std::string file;              ///< of the deciding line; empty when unknown
    std::size_t line = 0;          ///< counted from 1; 0 when unknown
    /// The host is covered by a @cert-authority line, which muster does not support and never
    /// takes for a match.
    bool has_authority = false;
};

/// The contents of one or more known_hosts files. Hashed names, `[host]:port`, lists, wildcards,
/// negation and `@revoked` have OpenSSH's meaning. Its const functions may be called by several
/// threads at once.
class KnownHosts {
public:
    /// A line that could not be understood; all other lines count nevertheless.
    struct Problem {
        std::string file;
        std::size_t line = 0;
        std::string what;
    };

    KnownHosts() = default;

    /// Adds the lines of a file's text; `file` is its name, for messages.
    void add(std::string_view text, const std::string& file);

    /// Adds lines that have been appended to a file since it was added.
    void append(std::string_view text, const std::string& file);

    /// Reads the files. One that does not exist counts as empty; throws ssh::Error when one exists
    /// and cannot be read.
    static KnownHosts load(const std::vector<std::string>& files);

    /// What the files say about the key (wire format) that `host` presents on `port`. As in
    /// OpenSSH, a host on another port than 22 may also match by its line without a port, if it has
    /// none with the port. A host that is known by keys of other types only counts as changed: the
    /// key exchange asks for the known types first, so an honest host would have presented one of
    /// them.
    [[nodiscard]] HostKeyVerdict check(std::string_view host, std::uint16_t port,
                                       std::string_view key) const;

    /// The key types known for the host, in file order, each once: what to ask for first.
    [[nodiscard]] std::vector<std::string> key_types(std::string_view host,
                                                     std::uint16_t port) const;

    /// Lines that could not be understood.
    [[nodiscard]] const std::vector<Problem>& problems() const noexcept { return problems_; }

    /// Number of usable lines.
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    enum class Marker : std::uint8_t { none, revoked, authority };

    struct Entry {
        std::string hosts; // the field as written; empty for hashed names
        std::string salt;
        std::string hash;
        std::string type;
        std::string key;
        std::size_t line = 0;
        std::uint32_t file = 0;
        Marker marker = Marker::none;
    };

    void add_lines(std::string_view text, std::uint32_t file);
    void add_line(std::string_view line, std::size_t number, std::uint32_t file);
    [[nodiscard]] std::vector<const Entry*> matching(const std::string& name) const;

    std::vector<std::string> files_;
    std::vector<std::size_t> lines_; // of each file, so far
    std::vector<Entry> entries_;
    // Entries whose names are plain are found by name; the others are tried one by one.
    std::unordered_map<std::string, std::vector<std::size_t>> by_name_;
    std::vector<std::size_t> patterns_;
    std::vector<Problem> problems_;
};

/// Adds the key (wire format) of a host that is new to the first of the files, creating it (mode
/// 0600) and its folder (0700) where missing. Returns what the files said just before, under a lock
/// of that file: `unknown` means that the line was added; otherwise somebody was quicker, and
/// nothing was written. Any number of threads and programs may do this at once. Waits up to 10 s
/// for the lock: not for the event loop's thread. Throws ssh::Error when the file cannot be read,
/// locked or written.
HostKeyVerdict accept_new_host_key(const std::vector<std::string>& files, std::string_view host,
                                   std::uint16_t port, std::string_view key);

/// "~/.ssh/known_hosts" of the user who runs the program, and the machine's
/// "/etc/ssh/ssh_known_hosts".
std::vector<std::string> default_known_hosts_files();

} // namespace muster::ssh
