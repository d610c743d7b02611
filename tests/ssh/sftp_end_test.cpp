// How SFTP's transfers, files and sessions end before their time.
#include "with_sftp.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

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
