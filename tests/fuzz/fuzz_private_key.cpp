// A key file that says anything at all. Without a passphrase, since guessing takes long by design.
#include <muster/ssh/error.hpp>
#include <muster/ssh/private_key.hpp>

#include <cstdint>
#include <string>

using namespace muster::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        const PrivateKey key = PrivateKey::parse(muster::Secret(text));
        static_cast<void>(key.sign(key.type(), "data"));
    } catch (const Error&) {
        // What is no key is an error.
    }
    return 0;
}
