#pragma once
/// What the tests of SFTP share.

#include "contains.hpp"
#include "listening_sshd.hpp"
#include "temp_folder.hpp"

#include <muster/muster.hpp>
#include <muster/ssh/connection.hpp>
#include <muster/ssh/sftp.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Bytes in which a piece that is missing or doubled shows.
inline std::string noise(std::size_t size) {
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
    muster::ssh::Connection connection;
    muster::ssh::Sftp sftp;
    std::string folder;

    [[nodiscard]] std::string path(const std::string& name) const { return folder + "/" + name; }
};

using Body = std::function<muster::Coro<void>(Session&, ListeningSshd&)>;

/// Runs the body with an SFTP session on an sshd with this configuration.
inline void with_sftp(Body body, const std::string& config = {},
                      muster::ssh::SftpOptions sftp = {}) {
    if (no_sshd()) {
        return;
    }
    ListeningSshd server(config);
    const TempFolder folder;
    muster::run([](ListeningSshd& sshd, const std::string& path, muster::ssh::SftpOptions options,
                   Body& test) -> muster::Coro<void> {
        auto connection = co_await muster::ssh::connect(sshd.options());
        auto files = co_await connection.sftp(options);
        Session session{std::move(connection), std::move(files), path};
        co_await test(session, sshd);
        co_await session.connection.close();
    }(server, folder.path(), sftp, body));
}

/// The error that a call ends with.
template <class T>
muster::Coro<std::optional<muster::ssh::Error>> error_of(muster::Coro<T> call) {
    try {
        co_await std::move(call);
    } catch (const muster::ssh::Error& error) {
        co_return error;
    }
    FAIL("no error");
    co_return std::nullopt;
}

/// What an error of a transfer says.
#define CHECK_ERROR(error, expected_kind, part)                                                    \
    REQUIRE((error).has_value());                                                                  \
    CAPTURE(std::string((error)->what()));                                                         \
    CHECK((error)->kind() == muster::ssh::ErrorKind::expected_kind);                               \
    CHECK((error)->phase() == muster::ssh::Phase::transfer);                                       \
    CHECK(contains((error)->what(), part))

/// All that is in a folder, sorted.
inline std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        names.push_back(entry.path().lexically_relative(folder).string());
    }
    std::sort(names.begin(), names.end());
    return names;
}
