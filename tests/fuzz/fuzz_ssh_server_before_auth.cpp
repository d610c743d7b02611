// A server that says anything at all before the keys are exchanged: what arrives in clear.
#include "client.hpp"
#include "input.hpp"

#include <cstdint>

// libssh2 frees the server's key only if the key exchange has ended well: a server whose signature
// is wrong costs 400 bytes of OpenSSL's, which nothing outside of libssh2 can reach.
extern "C" const char* __lsan_default_suppressions() { // NOLINT(bugprone-reserved-identifier)
    return "leak:libcrypto\n";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzInput input(data, size);
    // One bit for what the client offers, the rest for how much it is given at once.
    constexpr unsigned legacy = 0x80;
    const unsigned first = input.byte();
    const std::size_t chunk = first & ~legacy;
    FuzzClient client((first & legacy) != 0 ? muster::ssh::detail::legacy_methods()
                                            : muster::ssh::detail::default_methods());
    client.begin([&] { return client.engine.handshake(); });
    client.receive(input.rest(), chunk == 0 ? size : chunk);
    client.engine.receive_eof("end of the input");
    static_cast<void>(client.engine.take_output());
    return 0;
}
