#include "listening_sshd.hpp"
#include "ssh/local_file.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/sftp.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Bytes in which a piece that is missing or doubled shows.
std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 12345;
    for (char& byte : bytes) {
        state = state * 1664525U + 1013904223U;
        byte = static_cast<char>(state >> 24U);
    }
    return bytes;
}

/// A connection with SFTP, and a folder for both sides.
struct Session {
    ssh::Connection connection;
    ssh::Sftp sftp;
    std::string folder;

    [[nodiscard]] std::string path(const std::string& name) const { return folder + "/" + name; }
};

using Body = std::function<Coro<void>(Session&, ListeningSshd&)>;

/// Runs the body with an SFTP session on an sshd with this configuration.
void with_sftp(Body body, const std::string& config = {}, ssh::SftpOptions sftp = {}) {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server(config);
    const TempFolder folder;
    run([](ListeningSshd& sshd, const std::string& path, ssh::SftpOptions options,
           Body& test) -> Coro<void> {
        auto connection = co_await ssh::connect(sshd.options());
        auto files = co_await connection.sftp(options);
        Session session{std::move(connection), std::move(files), path};
        co_await test(session, sshd);
        co_await session.connection.close();
    }(server, folder.path(), sftp, body));
}

/// The error that a call ends with.
template <class T>
Coro<std::optional<ssh::Error>> error_of(Coro<T> call) {
    try {
        co_await std::move(call);
    } catch (const ssh::Error& error) {
        co_return error;
    }
    FAIL("no error");
    co_return std::nullopt;
}

#define CHECK_ERROR(error, expected_kind, part)                                                    \
    REQUIRE((error).has_value());                                                                  \
    CAPTURE(std::string((error)->what()));                                                         \
    CHECK((error)->kind() == ssh::ErrorKind::expected_kind);                                       \
    CHECK((error)->phase() == ssh::Phase::transfer);                                               \
    CHECK(contains((error)->what(), part))

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        names.push_back(entry.path().lexically_relative(folder).string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace

TEST_CASE("sftp: a file goes there and back, of every size that is special") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::vector<std::size_t> sizes{
            0,       1,       7500,    8191,    8192,    29'999,  30'000,    30'001,    510'000,
            510'001, 524'287, 524'288, 524'289, 1048576, 6120000, 9'000'001, 20'000'003};
        for (const std::size_t size : sizes) {
            CAPTURE(size);
            const std::string data = noise(size);
            write_text(s.path("local"), data);
            const auto put = co_await s.sftp.put(s.path("local"), s.path("remote"));
            CHECK(put.bytes == size);
            CHECK(put.files == 1);
            CHECK(read_text(s.path("remote")) == data);
            const auto got = co_await s.sftp.get(s.path("remote"), s.path("back"));
            CHECK(got.bytes == size);
            CHECK(got.files == 1);
            CHECK(read_text(s.path("back")) == data);
        }
        CHECK(names_in(s.folder) == std::vector<std::string>{"back", "local", "remote"});
    });
}

TEST_CASE("sftp: transfers survive a server that renews the keys all the time") {
    with_sftp(
        [](Session& s, ListeningSshd&) -> Coro<void> {
            const std::string data = noise(3'000'000);
            write_text(s.path("local"), data);
            const auto [put, out] =
                co_await gather(s.sftp.put(s.path("local"), s.path("remote")),
                                s.connection.run("head -c 1000000 /dev/zero | tr '\\0' a"));
            CHECK(put.bytes == data.size());
            CHECK(out.out == std::string(1'000'000, 'a'));
            CHECK(read_text(s.path("remote")) == data);
            co_await s.sftp.get(s.path("remote"), s.path("back"));
            CHECK(read_text(s.path("back")) == data);
        },
        "RekeyLimit 64K");
}

TEST_CASE("sftp: several tasks and several sessions share a connection with commands") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        auto second = co_await s.connection.sftp();
        const std::string data = noise(4'000'000);
        write_text(s.path("local"), data);
        write_text(s.path("source"), data);
        std::vector<Coro<ssh::Transferred>> transfers;
        for (const std::string name : {"a", "b"}) {
            transfers.push_back(s.sftp.put(s.path("local"), s.path("put-" + name)));
            transfers.push_back(s.sftp.get(s.path("source"), s.path("got-" + name)));
            transfers.push_back(second.put(s.path("local"), s.path("put-2" + name)));
            transfers.push_back(second.get(s.path("source"), s.path("got-2" + name)));
        }
        auto looking = create_task([](ssh::Sftp& sftp, std::string path) -> Coro<void> {
            for (int i = 0; i < 200; ++i) {
                const auto attributes = co_await sftp.stat(path);
                CHECK(attributes.size == 4'000'000);
            }
        }(s.sftp, s.path("source")));
        auto command = create_task(s.connection.run("head -c 3000000 /dev/zero"));
        co_await gather(std::move(transfers));
        co_await looking;
        const auto output = co_await command;
        CHECK(output.out.size() == 3'000'000);
        for (const std::string name :
             {"put-a", "put-b", "put-2a", "put-2b", "got-a", "got-b", "got-2a", "got-2b"}) {
            CAPTURE(name);
            CHECK(read_text(s.path(name)) == data);
        }
        co_await second.close();
        const auto error = co_await error_of(second.stat("/"));
        CHECK_ERROR(error, closed, "was closed");
        const auto alive = co_await s.sftp.exists("/");
        CHECK(alive);
    });
}

TEST_CASE("sftp: names, attributes and folders") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::vector<std::string> odd{"with space",
                                           "line\nbreak",
                                           "gr\xc3\xbc\xc3\x9f"
                                           "e",
                                           "-dash",
                                           "quote'\"",
                                           "\xff\xfe raw",
                                           "tab\t*?"};
        for (const auto& name : odd) {
            write_text(s.path("local"), name);
            co_await s.sftp.put(s.path("local"), s.path(name));
            CHECK(read_text(s.path(name)) == name);
        }
        fs::remove(s.path("local"));
        auto entries = co_await s.sftp.list(s.folder);
        std::vector<std::string> names;
        for (const auto& entry : entries) {
            names.push_back(entry.name);
            CHECK(entry.attributes.type() == ssh::FileType::regular);
            CHECK(entry.attributes.size == entry.name.size());
        }
        auto expected = odd;
        std::sort(names.begin(), names.end());
        std::sort(expected.begin(), expected.end());
        CHECK(names == expected);

        co_await s.sftp.mkdir(s.path("d"), 0750);
        const auto made = co_await s.sftp.stat(s.path("d"));
        CHECK(made.type() == ssh::FileType::directory);
        CHECK((made.permissions.value_or(0) & 0777U) == 0750);
        co_await s.sftp.makedirs(s.path("d/e/f"));
        co_await s.sftp.makedirs(s.path("d/e/f"));
        CHECK(fs::is_directory(s.path("d/e/f")));
        co_await s.sftp.rmdir(s.path("d/e/f"));
        const auto removed = co_await s.sftp.exists(s.path("d/e/f"));
        CHECK_FALSE(removed);

        co_await s.sftp.rename(s.path("-dash"), s.path("d/dash"));
        CHECK(read_text(s.path("d/dash")) == "-dash");
        co_await s.sftp.symlink("dash", s.path("d/link"));
        CHECK(fs::read_symlink(s.path("d/link")) == "dash");
        const auto target = co_await s.sftp.readlink(s.path("d/link"));
        CHECK(target == "dash");
        const auto link = co_await s.sftp.lstat(s.path("d/link"));
        CHECK(link.type() == ssh::FileType::symlink);
        const auto linked = co_await s.sftp.stat(s.path("d/link"));
        CHECK(linked.type() == ssh::FileType::regular);
        const auto resolved = co_await s.sftp.realpath(s.path("d/link"));
        CHECK(resolved == fs::canonical(s.path("d/dash")));
        const auto home = co_await s.sftp.realpath(".");
        CHECK_FALSE(home.empty());
        co_await s.sftp.chmod(s.path("d/dash"), 0600);
        CHECK((fs::status(s.path("d/dash")).permissions() & fs::perms::all) ==
              (fs::perms::owner_read | fs::perms::owner_write));
        ssh::SftpAttributes times;
        times.atime = 1'000'000'000;
        times.mtime = 1'100'000'000;
        co_await s.sftp.set_attributes(s.path("d/dash"), times);
        const auto kept = co_await s.sftp.stat(s.path("d/dash"));
        CHECK(kept.atime == 1'000'000'000);
        CHECK(kept.mtime == 1'100'000'000);
        CHECK(kept.uid == ::getuid());
        CHECK(kept.gid == ::getgid());
        co_await s.sftp.remove(s.path("d/link"));
        CHECK(fs::exists(s.path("d/dash")));
        co_await s.sftp.remove(s.path("d/dash"));
        CHECK_FALSE(fs::exists(s.path("d/dash")));
    });
}

TEST_CASE("sftp: a folder of thousands of names is listed whole, up to the limit") {
    with_sftp(
        [](Session& s, ListeningSshd&) -> Coro<void> {
            std::vector<std::string> expected;
            for (int i = 0; i < 5000; ++i) {
                expected.push_back("entry-with-a-long-name-" + std::to_string(i));
                write_text(s.path(expected.back()), "");
            }
            std::vector<std::string> names;
            for (const auto& entry : co_await s.sftp.list(s.folder)) {
                names.push_back(entry.name);
            }
            std::sort(names.begin(), names.end());
            std::sort(expected.begin(), expected.end());
            CHECK(names == expected);
            write_text(s.path("one too many"), "");
            const auto error = co_await error_of(s.sftp.list(s.folder));
            CHECK_ERROR(error, file_failed, "more than 5000 names");
            const auto usable = co_await s.sftp.exists(s.folder);
            CHECK(usable);
        },
        {}, {.max_entries = 5000});
}

TEST_CASE("sftp: a file that is open is read and written at any place") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::string path = s.path("file");
        auto file = co_await s.sftp.open(path, "w+", 0640);
        const auto fresh = co_await file.stat();
        CHECK(fresh.size == 0);
        const auto nothing = co_await file.read(10);
        CHECK(nothing.empty());
        co_await file.write("0123456789");
        CHECK(file.tell() == 10);
        const auto at_end = co_await file.read(10);
        CHECK(at_end.empty());
        file.seek(2);
        const auto middle = co_await file.read(3);
        CHECK(middle == "234");
        co_await file.write("abc"); // where the reader was, though libssh2 has read ahead
        const auto rest = co_await file.read(100);
        CHECK(rest == "89");
        const auto piece = co_await file.pread(4, 4);
        CHECK(piece == "4abc");
        CHECK(file.tell() == 10);
        co_await file.pwrite("XY", 8);
        CHECK(file.tell() == 10);
        CHECK(read_text(path) == "01234abcXY");
        // What another writes after the end was seen is found.
        std::ofstream(path, std::ios::app) << "more";
        const auto grown = co_await file.read(100);
        CHECK(grown == "more");
        ssh::SftpAttributes shorter;
        shorter.size = 3;
        co_await file.set_attributes(shorter);
        CHECK(read_text(path) == "012");
        co_await file.sync();
        co_await file.close();
        co_await file.close();
        const auto closed = co_await error_of(file.read(1));
        CHECK_ERROR(closed, closed, "was closed");

        auto appending = co_await s.sftp.open(path, "a");
        CHECK(appending.tell() == 3);
        co_await appending.write("-end");
        co_await appending.close();
        CHECK(read_text(path) == "012-end");

        const std::string large = noise(2'000'001);
        auto writing = co_await s.sftp.open(path, "w");
        co_await writing.write(large);
        co_await writing.write("tail");
        CHECK(writing.tell() == large.size() + 4);
        co_await writing.close();
        auto reading = co_await s.sftp.open(path);
        const auto whole = co_await reading.read(large.size());
        CHECK(whole == large);
        const auto tail = co_await reading.read(1'000'000);
        CHECK(tail == "tail");

        const auto exists = co_await error_of(s.sftp.open(path, "x"));
        CHECK_ERROR(exists, file_failed, "cannot open '" + path + "'");
        bool refused = false;
        try {
            co_await s.sftp.open(path, "rb");
        } catch (const ValueError&) {
            refused = true;
        }
        CHECK(refused);
    });
}

TEST_CASE("sftp: tasks that use one open file at once each get a whole piece") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::string data = noise(1'000'000);
        write_text(s.path("file"), data);
        auto file = co_await s.sftp.open(s.path("file"), "r");
        std::vector<Coro<std::string>> reads;
        for (int i = 0; i < 10; ++i) {
            reads.push_back(file.read(100'000));
            reads.push_back(file.pread(1000, 0));
        }
        const auto pieces = co_await gather(std::move(reads));
        std::string whole;
        for (std::size_t i = 0; i < pieces.size(); i += 2) {
            whole += pieces[i];
            CHECK(pieces[i + 1] == data.substr(0, 1000));
        }
        CHECK(whole == data);
    });
}

TEST_CASE("sftp: places beyond four GiB") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        constexpr std::uint64_t far = 5'000'000'000;
        auto file = co_await s.sftp.open(s.path("sparse"), "w+");
        co_await file.pwrite("far away", far);
        CHECK(fs::file_size(s.path("sparse")) == far + 8);
        const auto found = co_await file.pread(100, far);
        CHECK(found == "far away");
        const auto around = co_await file.pread(5, far - 2);
        CHECK(around == std::string("\0\0far", 5));
        const auto facts = co_await file.stat();
        CHECK(facts.size == far + 8);
        file.seek(far + 4);
        const auto last = co_await file.read(10);
        CHECK(last == "away");
        CHECK(file.tell() == far + 8);
    });
}

TEST_CASE("sftp: files whose reads are short are read all the same") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        // Their size is told as nothing, and the kernel gives them in pieces.
        const std::string path = "/proc/kallsyms";
        const std::string expected = read_text(path);
        if (expected.size() < 100'000) {
            MESSAGE("skipped: this machine has no large file in /proc");
            co_return;
        }
        co_await s.sftp.get(path, s.path("got"));
        CHECK(read_text(s.path("got")) == expected);
    });
}

TEST_CASE("sftp: errors of the device name the path and the reason, and harm nothing") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::string none = s.path("none");
        auto error = co_await error_of(s.sftp.stat(none));
        CHECK_ERROR(error, no_such_file, "transfer: cannot stat '" + none + "': no such file");
        CHECK(error->host() == "127.0.0.1");
        CHECK(error->port() != 0);
        error = co_await error_of(s.sftp.get(none, s.path("got")));
        CHECK_ERROR(error, no_such_file, "cannot open '" + none + "': no such file");
        error = co_await error_of(s.sftp.list(none));
        CHECK_ERROR(error, no_such_file, "cannot open '" + none + "'");
        error = co_await error_of(s.sftp.remove(none));
        CHECK_ERROR(error, no_such_file, "cannot remove '" + none + "'");
        error = co_await error_of(s.sftp.rmdir(none));
        CHECK_ERROR(error, no_such_file, "cannot remove the folder '" + none + "'");
        error = co_await error_of(s.sftp.rename(none, s.path("other")));
        CHECK_ERROR(error, no_such_file, "cannot rename '" + none + "'");
        error = co_await error_of(s.sftp.readlink(none));
        CHECK_ERROR(error, no_such_file, "cannot read the symbolic link '" + none + "'");
        error = co_await error_of(s.sftp.chmod(none, 0600));
        CHECK_ERROR(error, no_such_file, "cannot set the attributes of '" + none + "'");
        error = co_await error_of(s.sftp.mkdir(none + "/deep"));
        CHECK_ERROR(error, no_such_file, "cannot make the folder '" + none + "/deep'");
        write_text(s.path("file"), "x");
        error = co_await error_of(s.sftp.put(s.path("file"), none + "/file"));
        CHECK_ERROR(error, no_such_file, "cannot open '" + none + "/file'");
        error = co_await error_of(s.sftp.mkdir(s.folder));
        CHECK_ERROR(error, file_failed, "failure");
        error = co_await error_of(s.sftp.rmdir(s.folder));
        CHECK_ERROR(error, file_failed, "failure");
        error = co_await error_of(s.sftp.makedirs(s.path("file") + "/deep"));
        CHECK_ERROR(error, file_failed, "/file");
        error = co_await error_of(s.sftp.get(s.folder, s.path("got")));
        CHECK_ERROR(error, file_failed, "it is a folder (ask for it with .recursive = true)");
        CHECK(fs::exists(s.path("file")));
        CHECK_FALSE(fs::exists(s.path("got")));
        const auto usable = co_await s.sftp.exists(s.folder);
        CHECK(usable);
        CHECK_FALSE(s.connection.closed());
    });
}

TEST_CASE("sftp: what is not permitted") {
    with_sftp(
        [](Session& s, ListeningSshd&) -> Coro<void> {
            write_text(s.path("file"), "x");
            auto error = co_await error_of(s.sftp.put(s.path("file"), s.path("remote")));
            CHECK_ERROR(error, permission_denied,
                        "cannot open '" + s.path("remote") + "': permission denied");
            error = co_await error_of(s.sftp.mkdir(s.path("d")));
            CHECK_ERROR(error, permission_denied, "permission denied");
            co_await s.sftp.get(s.path("file"), s.path("got"));
            CHECK(read_text(s.path("got")) == "x");
        },
        "ForceCommand internal-sftp -R");
}

TEST_CASE("sftp: errors of this machine's files") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::string data = noise(3'000'000);
        write_text(s.path("file"), data);
        auto error = co_await error_of(s.sftp.put(s.path("none"), s.path("remote")));
        CHECK_ERROR(error, local_file,
                    "cannot open '" + s.path("none") + "': No such file or directory");
        error = co_await error_of(s.sftp.put(s.folder, s.path("remote")));
        CHECK_ERROR(error, local_file, "it is a folder (send it with .recursive = true)");
        error = co_await error_of(s.sftp.get(s.path("file"), s.path("none/got")));
        CHECK_ERROR(error, local_file, "'" + s.path("none") + "': No such file or directory");
        error = co_await error_of(s.sftp.get(s.path("file"), "/dev/full"));
        CHECK_ERROR(error, local_file, "cannot write '/dev/full': No space left on device");
        CHECK(fs::is_character_file("/dev/full"));
        co_await s.sftp.get(s.path("file"), "/dev/null");
        CHECK(fs::is_character_file("/dev/null"));
        CHECK(names_in(s.folder) == std::vector<std::string>{"file"});
        const auto usable = co_await s.sftp.exists(s.path("file"));
        CHECK(usable);
    });
}

TEST_CASE("sftp: a device whose disk is full says so, and the session goes on") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        write_text(s.path("file"), noise(3'000'000));
        const auto error = co_await error_of(s.sftp.put(s.path("file"), "/dev/full"));
        CHECK_ERROR(error, file_failed, "cannot write '/dev/full': failure");
        co_await s.sftp.put(s.path("file"), s.path("copy"));
        CHECK(read_text(s.path("copy")) == read_text(s.path("file")));
    });
}

TEST_CASE("sftp: what exists is replaced as a whole, or not at all") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        write_text(s.path("remote"), "new");
        write_text(s.path("local"), "old");
        ::chmod(s.path("remote").c_str(), 0750);
        auto error =
            co_await error_of(s.sftp.get(s.path("remote"), s.path("local"), {.overwrite = false}));
        CHECK_ERROR(error, local_file, "File exists");
        error =
            co_await error_of(s.sftp.put(s.path("remote"), s.path("local"), {.overwrite = false}));
        CHECK_ERROR(error, file_failed, "cannot open '" + s.path("local") + "'");
        CHECK(read_text(s.path("local")) == "old");
        co_await s.sftp.get(s.path("remote"), s.path("fresh"), {.overwrite = false});
        CHECK(read_text(s.path("fresh")) == "new");

        // A link stays a link, and what it leads to is replaced.
        fs::create_symlink("local", s.path("link"));
        co_await s.sftp.get(s.path("remote"), s.path("link"));
        CHECK(fs::is_symlink(s.path("link")));
        CHECK(read_text(s.path("local")) == "new");

        // Into folders, on both sides.
        fs::create_directory(s.path("d"));
        co_await s.sftp.get(s.path("remote"), s.path("d"));
        CHECK(read_text(s.path("d/remote")) == "new");
        co_await s.sftp.put(s.path("fresh"), s.path("d"));
        CHECK(read_text(s.path("d/fresh")) == "new");

        ssh::SftpAttributes times;
        times.atime = 1'000'000'000;
        times.mtime = 1'100'000'000;
        co_await s.sftp.set_attributes(s.path("remote"), times);
        co_await s.sftp.get(s.path("remote"), s.path("kept"), {.preserve = true});
        co_await s.sftp.put(s.path("kept"), s.path("sent"), {.preserve = true});
        for (const std::string name : {"kept", "sent"}) {
            const auto attributes = co_await s.sftp.stat(s.path(name));
            CHECK(attributes.mtime == 1'100'000'000);
            CHECK((attributes.permissions.value_or(0) & 0777U) == 0750);
        }
    });
}

TEST_CASE("sftp: progress is told, and what it throws ends the transfer") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        const std::size_t size = 5'000'000;
        write_text(s.path("file"), noise(size));
        for (const bool get : {true, false}) {
            std::vector<std::uint64_t> seen;
            ssh::TransferOptions options;
            options.progress = [&](const ssh::TransferProgress& progress) {
                CHECK(progress.path == s.path("file"));
                CHECK(progress.total == size);
                seen.push_back(progress.bytes);
            };
            if (get) {
                co_await s.sftp.get(s.path("file"), s.path("copy"), options);
            } else {
                co_await s.sftp.put(s.path("file"), s.path("copy"), options);
            }
            CHECK(std::is_sorted(seen.begin(), seen.end()));
            CHECK(seen.size() >= 9);
            CHECK(seen.back() == size);
            fs::remove(s.path("copy"));
            options.progress = [](const ssh::TransferProgress& progress) {
                if (progress.bytes > 1'000'000) {
                    throw RuntimeError("enough");
                }
            };
            bool ended = false;
            try {
                if (get) {
                    co_await s.sftp.get(s.path("file"), s.path("copy"), options);
                } else {
                    co_await s.sftp.put(s.path("file"), s.path("copy"), options);
                }
            } catch (const RuntimeError&) {
                ended = true;
            }
            CHECK(ended);
            const auto usable = co_await s.sftp.exists(s.path("file"));
            CHECK(usable);
            co_await s.sftp.close();
            s.sftp = co_await s.connection.sftp();
            CHECK(fs::exists(s.path("copy")) == !get);
        }
    });
}

TEST_CASE("sftp: folders with all that is in them") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        fs::create_directories(s.path("tree/a/b/empty"));
        write_text(s.path("tree/one"), "1");
        write_text(s.path("tree/a/two"), noise(700'000));
        write_text(s.path("tree/a/b/three\n"), "");
        fs::create_symlink("../one", s.path("tree/a/inside"));
        fs::create_symlink("b", s.path("tree/a/folder"));
        fs::create_symlink("../../../etc", s.path("tree/a/out"));
        fs::create_symlink("/etc", s.path("tree/absolute"));
        ::mkfifo(s.path("tree/fifo").c_str(), 0600);
        ::chmod(s.path("tree/one").c_str(), 0640);
        ::chmod(s.path("tree/a/b").c_str(), 0700);
        const std::vector<std::string> expected{"a",        "a/b",      "a/b/empty", "a/b/three\n",
                                                "a/folder", "a/inside", "a/two",     "one"};
        for (const bool get : {true, false}) {
            CAPTURE(get);
            const std::string to = s.path(get ? "got" : "put");
            ssh::TransferOptions options;
            options.recursive = true;
            options.preserve = true;
            const auto copy = [&] {
                return get ? s.sftp.get(s.path("tree"), to, options)
                           : s.sftp.put(s.path("tree"), to, options);
            };
            auto done = co_await copy();
            CHECK(done.files == 3);
            CHECK(done.bytes == 700'001);
            std::sort(done.skipped.begin(), done.skipped.end());
            CHECK(done.skipped == std::vector<std::string>{s.path("tree/a/out"),
                                                           s.path("tree/absolute"),
                                                           s.path("tree/fifo")});
            CHECK(names_in(to) == expected);
            CHECK(read_text(to + "/a/two") == read_text(s.path("tree/a/two")));
            CHECK(fs::read_symlink(to + "/a/inside") == "../one");
            CHECK(fs::read_symlink(to + "/a/folder") == "b");
            CHECK((fs::status(to + "/one").permissions() & fs::perms::all) ==
                  (fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read));
            CHECK((fs::status(to + "/a/b").permissions() & fs::perms::all) == fs::perms::owner_all);
            done = co_await copy(); // once more, over it
            CHECK(done.files == 3);
            CHECK(names_in(to) == expected);
        }
        // Where a folder would go through a link, nothing is written.
        fs::create_directory(s.path("elsewhere"));
        fs::remove_all(s.path("got/a"));
        fs::create_symlink(s.path("elsewhere"), s.path("got/a"));
        const auto error =
            co_await error_of(s.sftp.get(s.path("tree"), s.path("got"), {.recursive = true}));
        CHECK_ERROR(error, local_file, "'" + s.path("got/a") + "'");
        CHECK(names_in(s.path("elsewhere")).empty());
        // A single file may be asked for in the same way.
        co_await s.sftp.get(s.path("tree/one"), s.path("single"), {.recursive = true});
        CHECK(read_text(s.path("single")) == "1");
    });
}

TEST_CASE("sftp: which links stay inside of a folder") {
    using ssh::detail::leads_inside;
    CHECK(leads_inside("a", 0));
    CHECK(leads_inside("a/b/./c", 0));
    CHECK(leads_inside("./a", 0));
    CHECK(leads_inside("../a", 1));
    CHECK(leads_inside("../../a", 2));
    CHECK(leads_inside(".", 0));
    CHECK_FALSE(leads_inside("", 0));
    CHECK_FALSE(leads_inside("/a", 5));
    CHECK_FALSE(leads_inside("..", 0));
    CHECK_FALSE(leads_inside("../a", 0));
    CHECK_FALSE(leads_inside("../../a", 1));
    CHECK_FALSE(leads_inside("a/../../b", 1));
    CHECK_FALSE(leads_inside("a/..", 1)); // "a" may be a link itself
    CHECK_FALSE(leads_inside("a//..", 9));
}

TEST_CASE("sftp: a cancelled transfer leaves no half file here, and the connection goes on") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        write_text(s.path("file"), noise(30'000'000));
        for (const std::uint64_t enough : {0U, 1U, 8'000'000U, 29'000'000U}) {
            for (const bool get : {true, false}) {
                CAPTURE(enough);
                CAPTURE(get);
                auto reached = get_running_loop().create_future<void>();
                ssh::TransferOptions options;
                options.progress = [&](const ssh::TransferProgress& progress) {
                    if (progress.bytes >= enough && !reached.done()) {
                        reached.set_result();
                    }
                };
                auto task = create_task(get ? s.sftp.get(s.path("file"), s.path("copy"), options)
                                            : s.sftp.put(s.path("file"), s.path("copy"), options));
                if (enough == 0) {
                    co_await async_sleep(0s);
                } else {
                    co_await reached;
                }
                task.cancel();
                bool cancelled = false;
                try {
                    co_await task;
                } catch (const CancelledError&) {
                    cancelled = true;
                }
                CHECK(cancelled);
                CHECK_FALSE(s.connection.closed());
                const auto facts = co_await s.sftp.stat(s.path("file"));
                CHECK(facts.size == 30'000'000);
                const auto echo = co_await s.connection.run("echo on");
                CHECK(echo.out == "on\n");
                if (get) {
                    CHECK(names_in(s.folder) == std::vector<std::string>{"file"});
                }
                fs::remove(s.path("copy"));
            }
        }
        co_await s.sftp.put(s.path("file"), s.path("copy"));
        CHECK(read_text(s.path("copy")) == read_text(s.path("file")));
    });
}

TEST_CASE("sftp: each call may be cancelled before its turn, and is not done then") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        auto first = create_task(s.sftp.mkdir(s.path("first")));
        auto second = create_task(s.sftp.mkdir(s.path("second")));
        auto third = create_task(s.sftp.mkdir(s.path("third")));
        auto never = create_task(s.sftp.mkdir(s.path("never")));
        never.cancel(); // before its task starts
        co_await async_sleep(0s);
        second.cancel(); // before its turn
        first.cancel();  // while it waits: it is done nevertheless
        int cancelled = 0;
        for (auto* task : {&first, &second, &never}) {
            try {
                co_await *task;
            } catch (const CancelledError&) {
                ++cancelled;
            }
        }
        CHECK(cancelled == 3);
        co_await third;
        CHECK(names_in(s.folder) == std::vector<std::string>{"first", "third"});
        CHECK_FALSE(s.connection.closed());
    });
}

TEST_CASE("sftp: beginning it may be cancelled, and the connection goes on") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        for (int turns = 0; turns < 6; ++turns) {
            auto task = create_task(s.connection.sftp());
            for (int i = 0; i < turns; ++i) {
                co_await async_sleep(i < 3 ? 0ms : 1ms);
            }
            task.cancel();
            try {
                co_await task;
            } catch (const CancelledError&) {
                // Or it was quick.
            }
            const auto echo = co_await s.connection.run("echo on");
            CHECK(echo.out == "on\n");
            auto again = co_await s.connection.sftp();
            const auto works = co_await again.exists("/");
            CHECK(works);
        }
    });
}

TEST_CASE("sftp: a connection that is lost in the middle is an error, and leaves no half file") {
    for (const bool get : {true, false}) {
        CAPTURE(get);
        with_sftp([get](Session& s, ListeningSshd& server) -> Coro<void> {
            write_text(s.path("file"), noise(30'000'000));
            ssh::TransferOptions options;
            options.progress = [&](const ssh::TransferProgress& progress) {
                if (progress.bytes > 5'000'000) {
                    server.sshd.kill_sessions();
                }
            };
            const auto error =
                co_await error_of(get ? s.sftp.get(s.path("file"), s.path("copy"), options)
                                      : s.sftp.put(s.path("file"), s.path("copy"), options));
            CHECK_ERROR(error, connection_lost, "");
            CHECK(s.connection.closed());
            const auto after = co_await error_of(s.sftp.stat("/"));
            CHECK_ERROR(after, connection_lost, "");
            if (get) {
                CHECK(names_in(s.folder) == std::vector<std::string>{"file"});
            }
        });
    }
}

TEST_CASE("sftp: a device that stops answering fails the transfer by the idle deadline") {
    for (const bool get : {true, false}) {
        CAPTURE(get);
        with_sftp(
            [get](Session& s, ListeningSshd& server) -> Coro<void> {
                write_text(s.path("file"), noise(30'000'000));
                ssh::TransferOptions options;
                options.progress = [&](const ssh::TransferProgress& progress) {
                    if (progress.bytes > 5'000'000) {
                        server.sshd.kill_sessions(SIGSTOP);
                    }
                };
                const auto error =
                    co_await error_of(get ? s.sftp.get(s.path("file"), s.path("copy"), options)
                                          : s.sftp.put(s.path("file"), s.path("copy"), options));
                CHECK_ERROR(error, timeout, "nothing moved within 400 ms");
                CHECK(contains(error->what(), get ? s.path("file") : s.path("copy")));
                CHECK(s.connection.closed());
                if (get) {
                    CHECK(names_in(s.folder) == std::vector<std::string>{"file"});
                }
            },
            {}, {.timeout = 400ms});
    }
}

TEST_CASE("sftp: a transfer that takes longer than the deadline and moves all the time is fine") {
    with_sftp(
        [](Session& s, ListeningSshd&) -> Coro<void> {
            write_text(s.path("file"), noise(3'000'000));
            const auto began = Clock::now();
            while (Clock::now() < began + 500ms) {
                co_await s.sftp.get(s.path("file"), s.path("copy"));
            }
            // Nothing at all for longer than the deadline is no failure either.
            co_await async_sleep(500ms);
            const auto there = co_await s.sftp.exists(s.path("copy"));
            CHECK(there);
        },
        {}, {.timeout = 300ms});
}

TEST_CASE("sftp: a device without SFTP says so, and the connection goes on") {
    if (no_sshd()) {
        return;
    }
    for (const std::string command : {"exit 1", "echo This is the message of the day; sleep 60"}) {
        CAPTURE(command);
        ListeningSshd server("ForceCommand " + command);
        run([](ssh::Options options) -> Coro<void> {
            auto connection = co_await ssh::connect(std::move(options));
            for (int i = 0; i < 2; ++i) {
                const auto error = co_await error_of(connection.sftp({.timeout = 5s}));
                REQUIRE(error.has_value());
                CAPTURE(std::string(error->what()));
                CHECK(error->kind() == ssh::ErrorKind::protocol);
                CHECK(contains(error->what(), "begin SFTP"));
                CHECK_FALSE(connection.closed());
            }
            co_await connection.close();
        }(server.options()));
    }
}

TEST_CASE("sftp: files that are dropped are closed, and a session that is dropped is ended") {
    with_sftp([](Session& s, ListeningSshd&) -> Coro<void> {
        write_text(s.path("file"), "x");
        for (int i = 0; i < 300; ++i) {
            auto file = co_await s.sftp.open(s.path("file")); // sshd lets 100 to 200 be open
            if (i % 2 == 0) {
                const auto text = co_await file.read(10);
                CHECK(text == "x");
            }
        }
        for (int i = 0; i < 30; ++i) {
            auto session = co_await s.connection.sftp(); // sshd lets 10 be open
            auto file = co_await session.open(s.path("file"));
            if (i % 2 == 0) {
                co_await session.close();
                const auto error = co_await error_of(file.read(1));
                CHECK_ERROR(error, closed, "was closed");
            }
        }
        CHECK_FALSE(s.connection.closed());
    });
}

TEST_CASE("sftp: the end of the loop with transfers under way is clean, and leaves no half file") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    const TempFolder folder;
    write_text(folder.path() + "/file", noise(30'000'000));
    const auto options = server.options();
    {
        EventLoop loop;
        loop.run_until_complete([](const ssh::Options& each, std::string path) -> Coro<void> {
            auto moving = get_running_loop().create_future<void>();
            auto task = create_task(
                [](ssh::Options own, std::string place, Future<void> reached) -> Coro<void> {
                    auto connection = co_await ssh::connect(std::move(own));
                    auto sftp = co_await connection.sftp();
                    ssh::TransferOptions transfer;
                    transfer.progress = [&](const ssh::TransferProgress& progress) {
                        if (progress.bytes > 3'000'000 && !reached.done()) {
                            reached.set_result();
                        }
                    };
                    co_await gather(sftp.get(place + "/file", place + "/got", transfer),
                                    sftp.put(place + "/file", place + "/put", transfer));
                }(each, path, moving));
            co_await moving;
        }(options, folder.path()));
    }
    for (const auto& name : names_in(folder.path())) {
        CHECK((name == "file" || name == "put"));
    }
}

TEST_CASE("sftp: sessions and files that outlive their connection or loop are harmless") {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server;
    using Both = std::pair<ssh::Sftp, ssh::SftpFile>;
    auto both = run([](ssh::Options options, std::string path) -> Coro<Both> {
        auto connection = co_await ssh::connect(std::move(options));
        auto sftp = co_await connection.sftp();
        auto file = co_await sftp.open(path);
        {
            const auto dropped = std::move(connection);
        }
        const auto error = co_await error_of(sftp.stat("/"));
        CHECK_ERROR(error, closed, "the connection was closed");
        const auto unread = co_await error_of(file.read(1));
        CHECK_ERROR(unread, closed, "the connection was closed");
        co_await sftp.close();
        co_return Both(std::move(sftp), std::move(file));
    }(server.options(), server.sshd.folder() + "/config"));
    CHECK(both.second.tell() == 0);
}
