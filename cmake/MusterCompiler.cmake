# Compiler floor, language level, warnings and sanitizers.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    message(
        FATAL_ERROR
            "muster needs GCC >= 13 or Clang >= 16; this is GCC ${CMAKE_CXX_COMPILER_VERSION}. "
            "GCC 12 copies closures and aggregates that live in a co_await expression bitwise and "
            "destroys them twice (GCC bugs 100611 and 99576), so correct coroutine code corrupts "
            "memory. On Debian 12: scripts/install-deps.sh installs clang-19; then configure with "
            "CXX=clang++-19.")
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang"
   AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "AppleClang"
   AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
    message(
        FATAL_ERROR
            "muster needs GCC >= 13 or Clang >= 16; this is Clang ${CMAKE_CXX_COMPILER_VERSION}. "
            "On Debian 12: scripts/install-deps.sh installs clang-19; then configure with CXX=clang++-19.")
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Each function can be left out by itself: a program that uses the loop alone is a third as large.
add_compile_options(-ffunction-sections -fdata-sections)

find_program(MUSTER_CCACHE ccache)
if(MUSTER_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros "${MUSTER_CCACHE}")
endif()

add_library(muster_warnings INTERFACE)
target_compile_options(muster_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(MUSTER_WERROR)
    target_compile_options(muster_warnings INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # What ccache needs to reuse objects that were compiled with a precompiled header.
    target_compile_options(muster_warnings INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()

if(MUSTER_SANITIZE)
    add_compile_options(-fsanitize=${MUSTER_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${MUSTER_SANITIZE})
    if(MUSTER_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
endif()

if(MUSTER_CLANG_TIDY)
    find_program(MUSTER_CLANG_TIDY_PROGRAM NAMES clang-tidy-19 clang-tidy REQUIRED)
endif()
