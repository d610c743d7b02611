// What SFTP servers do that OpenSSH's does not: other limits, other words, and malice.
#include "contains.hpp"
#include "scripted_server.hpp"
#include "ssh/wire.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/sftp.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using ssh::detail::append_string;
using ssh::detail::append_uint32;
using ssh::detail::WireReader;

namespace {

enum Message : unsigned char {
    version = 2,
    open_file = 3,
    close_handle = 4,
    read_file = 5,
    write_file = 6,
    fstat_file = 8,
    open_folder = 11,
    read_folder = 12,
    stat_path = 17,
    status = 101,
    handle = 102,
    data = 103,
    name = 104,
    attrs = 105,
};

std::string uint32(std::uint32_t value) {
    std::string out;
    append_uint32(out, value);
    return out;
}

std::string string(std::string_view text) {
    std::string out;
    append_string(out, text);
    return out;
}

/// The attributes of a folder or regular file of this size.
std::string attributes(bool folder, std::uint32_t size) {
    return uint32(1 | 4) + uint32(0) + uint32(size) + uint32(folder ? 0040755 : 0100644);
}

/// What a client asks for.
struct Asked {
    unsigned char message = 0;
    std::string id;
    std::string rest; // behind the handle or path

    /// Of a request to read.
    [[nodiscard]] std::pair<std::uint64_t, std::uint32_t> piece() const {
        WireReader reader(rest);
        const std::uint64_t high = reader.uint32();
        const std::uint64_t offset = high << 32U | reader.uint32();
        return {offset, reader.uint32()};
    }
};

/// The server's end of an SFTP session.
class FakeSftp {
public:
    explicit FakeSftp(ssh_channel channel) : channel_(channel) {}

    void send(unsigned char message, const std::string& rest) {
        const std::string packet =
            uint32(static_cast<std::uint32_t>(rest.size() + 1)) + static_cast<char>(message) + rest;
        send_raw(packet);
    }

    void send_raw(const std::string& bytes) {
        ssh_channel_write(channel_, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
    }

    void refuse(const Asked& asked, std::uint32_t code, const std::string& words) {
        send(status, asked.id + uint32(code) + string(words) + string("en"));
    }

    std::optional<Asked> receive() {
        const std::string length = take(4);
        if (length.empty()) {
            return std::nullopt;
        }
        const std::string packet = take(WireReader(length).uint32());
        if (packet.size() < 5) {
            return std::nullopt;
        }
        Asked asked;
        asked.message = static_cast<unsigned char>(packet[0]);
        asked.id = packet.substr(1, 4);
        WireReader reader(std::string_view(packet).substr(5));
        reader.string();
        asked.rest = reader.rest();
        return asked;
    }

private:
    std::string take(std::size_t size) {
        std::string bytes(size, '\0');
        std::size_t done = 0;
        while (done < size) {
            const int got = ssh_channel_read(channel_, bytes.data() + done,
                                             static_cast<std::uint32_t>(size - done), 0);
            if (got <= 0) {
                return {};
            }
            done += static_cast<std::size_t>(got);
        }
        return bytes;
    }

    ssh_channel channel_;
};

/// Accepts the login and a request for a subsystem, or refuses that.
ssh_channel accept_subsystem(ssh_session session, bool accept) {
    accept_login(session);
    ssh_channel channel = nullptr;
    while (ssh_message message = ssh_message_get(session)) {
        const int type = ssh_message_type(message);
        bool done = false;
        if (type == SSH_REQUEST_CHANNEL_OPEN) {
            channel = ssh_message_channel_request_open_reply_accept(message);
        } else if (type == SSH_REQUEST_CHANNEL && accept &&
                   ssh_message_subtype(message) == SSH_CHANNEL_REQUEST_SUBSYSTEM) {
            ssh_message_channel_request_reply_success(message);
            done = true;
        } else {
            ssh_message_reply_default(message);
        }
        ssh_message_free(message);
        if (done) {
            break;
        }
    }
    return channel;
}

using Answer = std::function<void(FakeSftp& sftp, const Asked& asked)>;

/// A server whose SFTP answers in this way, once it has begun.
ScriptedServer::Script answering(Answer answer) {
    return [answer = std::move(answer)](ssh_session session) {
        ssh_channel channel = accept_subsystem(session, true);
        if (channel == nullptr) {
            return;
        }
        FakeSftp sftp(channel);
        sftp.receive(); // its greeting
        sftp.send(version, uint32(3));
        while (const auto asked = sftp.receive()) {
            answer(sftp, *asked);
        }
    };
}

ssh::Options options_for(const ScriptedServer& server) {
    ssh::Options options;
    options.host = "127.0.0.1";
    options.port = server.port();
    options.username = "ops";
    options.host_key_policy = ssh::HostKeyPolicy::insecure_ignore;
    return options;
}

/// The error that the body ends with.
std::optional<ssh::Error> error_on(const ScriptedServer& server,
                                   std::function<Coro<void>(ssh::Sftp&)> body) {
    return run([](ssh::Options options,
                  std::function<Coro<void>(ssh::Sftp&)> test) -> Coro<std::optional<ssh::Error>> {
        auto connection = co_await ssh::connect(std::move(options));
        std::optional<ssh::Error> seen;
        try {
            auto sftp = co_await connection.sftp({.timeout = 10s, .max_entries = 1000});
            co_await test(sftp);
        } catch (const ssh::Error& error) {
            seen = error;
        }
        CHECK_FALSE(connection.closed());
        co_await connection.close();
        co_return seen;
    }(options_for(server), std::move(body)));
}

std::string contents_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

} // namespace

TEST_CASE("sftp: a device that refuses the subsystem has no SFTP, and the connection goes on") {
    const ScriptedServer server([](ssh_session session) { accept_subsystem(session, false); });
    const auto error = error_on(server, [](ssh::Sftp&) -> Coro<void> { co_return; });
    REQUIRE(error.has_value());
    CAPTURE(std::string(error->what()));
    CHECK(error->kind() == ssh::ErrorKind::request_refused);
    CHECK(error->phase() == ssh::Phase::transfer);
}

TEST_CASE("sftp: a listing cannot put files outside of the local folder") {
    using namespace std::string_literals;
    const std::vector<std::string> names{"../evil", "/tmp/evil", "a/evil", "x/..", "a\0b"s};
    for (const std::string& evil : names) {
        CAPTURE(evil);
        bool listed = false;
        const ScriptedServer server(answering([&](FakeSftp& sftp, const Asked& asked) {
            switch (asked.message) {
            case stat_path:
                sftp.send(attrs, asked.id + attributes(true, 0));
                break;
            case open_folder:
                sftp.send(handle, asked.id + string("folder"));
                break;
            case read_folder:
                if (std::exchange(listed, true)) {
                    sftp.refuse(asked, 1, "End of file");
                } else {
                    sftp.send(name, asked.id + uint32(2) + string("..") + string("") +
                                        attributes(true, 0) + string(evil) + string("") +
                                        attributes(false, 4));
                }
                break;
            case open_file:
                sftp.send(handle, asked.id + string("file"));
                break;
            default:
                sftp.refuse(asked, 0, "");
            }
        }));
        const TempFolder folder;
        const std::string into = folder.path() + "/deep/into";
        fs::create_directories(into);
        const auto error = error_on(server, [&](ssh::Sftp& sftp) -> Coro<void> {
            co_await sftp.get("remote", into, {.recursive = true});
        });
        REQUIRE(error.has_value());
        CAPTURE(std::string(error->what()));
        CHECK(error->kind() == ssh::ErrorKind::protocol);
        CHECK(contains(error->what(), "out of the folder"));
        CHECK(fs::is_empty(into));
        CHECK_FALSE(fs::exists(folder.path() + "/deep/evil"));
    }
}

TEST_CASE("sftp: a device that gives less than was asked for is read to the end") {
    std::string content(300'000, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) {
        content[i] = static_cast<char>(i * 7 + i / 256);
    }
    const ScriptedServer server(answering([&](FakeSftp& sftp, const Asked& asked) {
        if (asked.message == open_file) {
            sftp.send(handle, asked.id + string("h"));
        } else if (asked.message == fstat_file) {
            sftp.send(attrs,
                      asked.id + attributes(false, static_cast<std::uint32_t>(content.size())));
        } else if (asked.message == read_file) {
            const auto [offset, size] = asked.piece();
            if (offset >= content.size()) {
                sftp.refuse(asked, 1, "End of file");
            } else {
                sftp.send(data, asked.id + string(content.substr(offset, std::min(size, 4096U))));
            }
        } else {
            sftp.refuse(asked, 0, "");
        }
    }));
    const TempFolder folder;
    const auto error = error_on(server, [&](ssh::Sftp& sftp) -> Coro<void> {
        co_await sftp.get("remote", folder.path() + "/got");
        auto file = co_await sftp.open("remote");
        const std::string piece = co_await file.pread(10'000, 100'000);
        CHECK(piece == content.substr(100'000, 10'000));
    });
    CHECK_FALSE(error.has_value());
    CHECK(contents_of(folder.path() + "/got") == content);
}

TEST_CASE("sftp: the device's words are in the message, on one line") {
    const ScriptedServer server(answering([](FakeSftp& sftp, const Asked& asked) {
        sftp.refuse(asked, asked.message == stat_path ? 3 : 4, "Quota\nexceeded");
    }));
    const auto error = error_on(server, [](ssh::Sftp& sftp) -> Coro<void> {
        bool denied = false;
        try {
            co_await sftp.stat("/flash");
        } catch (const ssh::Error& refused) {
            denied = refused.kind() == ssh::ErrorKind::permission_denied;
        }
        CHECK(denied);
        co_await sftp.mkdir("/flash");
    });
    REQUIRE(error.has_value());
    CHECK(contains(error->what(), "cannot make the folder '/flash': failure, 'Quota exceeded'"));
    CHECK(error->kind() == ssh::ErrorKind::file_failed);
}

TEST_CASE("sftp: a listing without end, and answers that are nonsense, are errors") {
    enum class Nonsense { endless, too_few_names, too_long, empty, unknown };
    for (const auto nonsense : {Nonsense::endless, Nonsense::too_few_names, Nonsense::too_long,
                                Nonsense::empty, Nonsense::unknown}) {
        CAPTURE(static_cast<int>(nonsense));
        const ScriptedServer server(answering([&](FakeSftp& sftp, const Asked& asked) {
            if (asked.message == open_folder) {
                sftp.send(handle, asked.id + string("folder"));
            } else if (asked.message != read_folder) {
                sftp.refuse(asked, 0, "");
            } else if (nonsense == Nonsense::endless) {
                sftp.send(name,
                          asked.id + uint32(1) + string("x") + string("") + attributes(false, 4));
            } else if (nonsense == Nonsense::too_few_names) {
                sftp.send(name,
                          asked.id + uint32(9) + string("x") + string("") + attributes(false, 4));
            } else if (nonsense == Nonsense::too_long) {
                sftp.send_raw("\xff\xff\xff\xff garbage");
            } else if (nonsense == Nonsense::empty) {
                sftp.send_raw(std::string(16, '\0'));
            } else {
                sftp.send(250, asked.id + "what is this?");
            }
        }));
        const auto error =
            error_on(server, [](ssh::Sftp& sftp) -> Coro<void> { co_await sftp.list("/"); });
        REQUIRE(error.has_value());
        CAPTURE(std::string(error->what()));
        CHECK(error->kind() == (nonsense == Nonsense::endless ? ssh::ErrorKind::file_failed
                                                              : ssh::ErrorKind::protocol));
    }
}
