#pragma once
/// An sshd that listens, and what is needed to get in.

#include "contains.hpp"
#include "sshd.hpp"

#include <muster/core/run.hpp>
#include <muster/ssh/connection.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

/// True, and said, on a machine without sshd: these tests are skipped there.
inline bool no_sshd() {
    if (!Sshd::available()) {
        MESSAGE("skipped: no sshd on this machine");
        return true;
    }
    return false;
}

struct ListeningSshd {
    explicit ListeningSshd(const std::string& config = {},
                           const std::vector<std::string>& host_keys = {"ed25519"})
        : sshd(config, host_keys), port(sshd.listen()) {
        write_text(known_hosts(), "[127.0.0.1]:" + std::to_string(port) + " " +
                                      sshd.host_key(host_keys.front()) + "\n");
    }

    [[nodiscard]] std::string known_hosts() const { return sshd.folder() + "/known_hosts"; }

    /// Without a key, and without the agent of the user who runs the tests.
    [[nodiscard]] muster::ssh::Options bare_options() const {
        muster::ssh::Options options;
        options.host = "127.0.0.1";
        options.port = port;
        options.username = sshd.user();
        options.known_hosts = {known_hosts()};
        options.agent = "";
        return options;
    }

    [[nodiscard]] muster::ssh::Options options(const std::string& key = "ed25519") {
        muster::ssh::Options options = bare_options();
        muster::ssh::KeySource source;
        source.path = sshd.user_key(key);
        options.keys.push_back(source);
        return options;
    }

    Sshd sshd;
    std::uint16_t port;
};

/// The error that connecting ends with.
inline muster::ssh::Error connect_error(muster::ssh::Options options) {
    try {
        muster::run(muster::ssh::connect(std::move(options)));
    } catch (const muster::ssh::Error& error) {
        return error;
    }
    FAIL("it connected");
    std::abort();
}
