// A configuration that says anything at all, looked up for a destination.
#include "input.hpp"
#include "ssh/patterns.hpp"

#include <muster/ssh/config.hpp>
#include <muster/ssh/error.hpp>

#include <cstdint>
#include <string>

using namespace muster::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzInput input(data, size);
    const std::string destination(input.text());
    // Included files are none of the fuzzer's business.
    if (detail::lower(input.rest()).find("include") != std::string::npos) {
        return 0;
    }
    try {
        Config config;
        config.add(input.rest(), "fuzz");
        static_cast<void>(config.options(destination));
    } catch (const Error&) {
        // What makes no sense is an error.
    }
    return 0;
}
