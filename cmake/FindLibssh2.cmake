# Finds libssh2 and defines Libssh2::libssh2, the target that libssh2's own CMake build exports
# (Debian's package has no CMake files). Sets Libssh2_FOUND and Libssh2_VERSION.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_Libssh2 QUIET libssh2)
endif()

find_path(Libssh2_INCLUDE_DIR NAMES libssh2.h HINTS ${PC_Libssh2_INCLUDE_DIRS})
find_library(Libssh2_LIBRARY NAMES ssh2 libssh2 HINTS ${PC_Libssh2_LIBRARY_DIRS})
mark_as_advanced(Libssh2_INCLUDE_DIR Libssh2_LIBRARY)

if(Libssh2_INCLUDE_DIR)
    file(STRINGS "${Libssh2_INCLUDE_DIR}/libssh2.h" Libssh2_VERSION
         REGEX "^#define[ \t]+LIBSSH2_VERSION[ \t]+\"")
    string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" Libssh2_VERSION "${Libssh2_VERSION}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
    Libssh2
    REQUIRED_VARS Libssh2_LIBRARY Libssh2_INCLUDE_DIR
    VERSION_VAR Libssh2_VERSION)

if(Libssh2_FOUND AND NOT TARGET Libssh2::libssh2)
    add_library(Libssh2::libssh2 UNKNOWN IMPORTED)
    set_target_properties(
        Libssh2::libssh2
        PROPERTIES IMPORTED_LOCATION "${Libssh2_LIBRARY}"
                   INTERFACE_INCLUDE_DIRECTORIES "${Libssh2_INCLUDE_DIR}")
endif()
