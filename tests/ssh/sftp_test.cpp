#include "ssh/local_file.hpp"
#include "with_sftp.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
namespace fs = std::filesystem;

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
