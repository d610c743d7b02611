// A known_hosts file that says anything at all; in front of it stand a host and a key to look up.
#include "input.hpp"

#include <muster/ssh/known_hosts.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

using namespace muster::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzInput input(data, size);
    const std::uint16_t port = input.byte() % 2 == 0 ? 22 : 2222;
    const std::string host(input.text());
    const std::string key(input.text());
    KnownHosts hosts;
    hosts.add(input.rest(), "fuzz");
    const HostKeyVerdict verdict = hosts.check(host, port, key);
    static_cast<void>(hosts.key_types(host, port));
    // Whatever the file says, what is revoked stays so, and nothing matches out of the blue.
    const bool decided = verdict.status != HostKeyStatus::unknown;
    if (decided != (verdict.line > 0) || (decided && hosts.size() == 0)) {
        std::abort();
    }
    hosts.add("@revoked * ssh-ed25519 AAAA\n", "more");
    const HostKeyVerdict again = hosts.check(host, port, key);
    if (again.status != verdict.status || again.line != verdict.line) {
        std::abort();
    }
    return 0;
}
