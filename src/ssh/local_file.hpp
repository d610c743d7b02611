#pragma once
/// The local side of file transfers. Everything here blocks: it is for the executor. Failures are
/// std::system_error, whose text names the file.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::ssh::detail {

/// An open descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}

    Descriptor(Descriptor&& other) noexcept;
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();

    [[nodiscard]] int get() const noexcept { return fd_; }

    /// The error number; 0.
    int close() noexcept;

private:
    int fd_;
};

/// What a file keeps when it is copied.
struct FileTimes {
    std::uint32_t atime = 0;
    std::uint32_t mtime = 0;
};

/// A local file that is read.
class LocalSource {
public:
    explicit LocalSource(const std::string& path);

    /// Fills the buffer, as far as the file goes.
    std::size_t read(char* buffer, std::size_t size);

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    [[nodiscard]] std::uint32_t permissions() const noexcept { return permissions_; }

    [[nodiscard]] const FileTimes& times() const noexcept { return times_; }

private:
    std::string path_;
    Descriptor file_;
    std::uint64_t size_ = 0;
    std::uint32_t permissions_ = 0;
    FileTimes times_;
};

class LocalFolder;

/// A local file that is being written under a temporary name. It disappears unless it is kept.
class LocalTarget {
public:
    LocalTarget(const LocalTarget&) = delete;
    LocalTarget& operator=(const LocalTarget&) = delete;
    ~LocalTarget();

    void write(std::string_view data);

    /// All is there: gives it its name. `permissions` and `times`, if given, become the file's.
    void keep(std::optional<std::uint32_t> permissions, std::optional<FileTimes> times);

    /// Takes it away.
    void discard() noexcept;

private:
    friend class LocalFolder;

    LocalTarget(std::shared_ptr<const LocalFolder> folder, std::string name, bool overwrite)
        : folder_(std::move(folder)), name_(std::move(name)), overwrite_(overwrite) {}

    std::shared_ptr<const LocalFolder> folder_;
    std::string name_;
    std::string temporary_; ///< empty: it is written directly
    Descriptor file_;
    bool overwrite_;
};

/// A folder to write into. What is made in it never goes through a symbolic link, so that nothing
/// lands elsewhere.
class LocalFolder : public std::enable_shared_from_this<LocalFolder> {
public:
    /// An existing folder, which may be reached through links.
    static std::shared_ptr<LocalFolder> open(const std::string& path);
    /// The same, made if need be.
    static std::shared_ptr<LocalFolder> make(const std::string& path, std::uint32_t permissions);

    /// A folder in this one, made if need be.
    [[nodiscard]] std::shared_ptr<LocalFolder> make_folder(const std::string& name,
                                                           std::uint32_t permissions) const;

    /// Begins a file. Without `overwrite`, one that exists is an error.
    [[nodiscard]] std::shared_ptr<LocalTarget>
    create(const std::string& name, std::uint32_t permissions, bool overwrite) const;

    /// Makes a symbolic link.
    void link(const std::string& name, const std::string& target, bool overwrite) const;

    void set(std::uint32_t permissions, const FileTimes& times) const;

private:
    friend class LocalTarget;

    LocalFolder(std::string path, Descriptor folder)
        : path_(std::move(path)), folder_(std::move(folder)) {}

    [[nodiscard]] std::string path_of(const std::string& name) const { return path_ + "/" + name; }

    std::string path_;
    Descriptor folder_;
};

/// A folder and a name in it.
struct LocalPlace {
    std::string folder;
    std::string name;
};

/// Where to write what is to be called `path`: through its links, or into the folder that it is,
/// under `name`.
LocalPlace find_place(const std::string& path, const std::string& name);

enum class LocalType : std::uint8_t { none, regular, folder, link, special };

/// A name in a local folder.
struct LocalEntry {
    std::string name;
    LocalType type = LocalType::none;
    std::string target; ///< of a link
};

/// What is there, links followed.
LocalType local_type(const std::string& path);

/// What a folder keeps when it is copied.
struct FolderFacts {
    std::uint32_t permissions = 0;
    FileTimes times;
};

FolderFacts folder_facts(const std::string& path);

/// All names in a folder, sorted; links not followed.
std::vector<LocalEntry> list_local(const std::string& path);

/// Whether a relative symbolic link leads to somewhere inside, when its folder lies `depth` below
/// the top: it climbs only at its beginning and not too far.
bool leads_inside(std::string_view target, std::size_t depth);

} // namespace muster::ssh::detail
