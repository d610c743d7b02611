#pragma once

// UndefinedBehaviorSanitizer opens a pipe to see whether memory can be read, and takes objects for
// broken when there is no descriptor for that: tests that leave none do without it. It comes with
// AddressSanitizer here.
#if defined(__SANITIZE_ADDRESS__)
#    define MUSTER_LOOKS_WITH_DESCRIPTORS 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define MUSTER_LOOKS_WITH_DESCRIPTORS 1
#    endif
#endif
