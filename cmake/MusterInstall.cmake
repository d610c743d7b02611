# Install rules and the exported package: find_package(muster COMPONENTS core ssh ...).
#
# A room is a component. What a component needs, rooms and other people's packages, is read from
# the room's own link libraries, so the package can't disagree with the build.
include(CMakePackageConfigHelpers)

set(muster_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/muster")
get_property(muster_rooms GLOBAL PROPERTY MUSTER_INSTALL_TARGETS)
get_property(muster_programs GLOBAL PROPERTY MUSTER_INSTALL_PROGRAMS)

# muster_package_of(library out): what find_package() needs to hear for the library to exist.
function(muster_package_of library out)
    if(library STREQUAL "Threads::Threads")
        set(package "Threads")
    elseif(library MATCHES "^Boost::")
        set(package "Boost 1.81 CONFIG")
    elseif(library MATCHES "^OpenSSL::")
        set(package "OpenSSL 3")
    elseif(library STREQUAL "ZLIB::ZLIB")
        set(package "ZLIB")
    elseif(library STREQUAL "Libssh2::libssh2")
        set(package "Libssh2 1.10")
    elseif(library MATCHES "^(ssh|ssh::ssh)$")
        set(package "libssh")
    elseif(library MATCHES "^(yaml-cpp|yaml-cpp::yaml-cpp)$")
        set(package "yaml-cpp")
    elseif(library MATCHES "^(nlohmann_json|fmt|spdlog|CLI11)::")
        set(package "${CMAKE_MATCH_1}")
    else()
        message(
            FATAL_ERROR
                "An installed library links ${library}, and cmake/MusterInstall.cmake does not know "
                "which package that comes from. Please add it to muster_package_of().")
    endif()
    set(${out} "${package}" PARENT_SCOPE)
endfunction()

set(muster_components "")
set(muster_component_needs "")
foreach(target IN LISTS muster_rooms)
    get_target_property(component ${target} EXPORT_NAME)
    get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
    set(rooms "")
    set(packages "")
    foreach(library IN LISTS libraries)
        # A static library's private links are in its interface, too, as $<LINK_ONLY:...>.
        string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" library "${library}")
        if(library MATCHES "^muster(_|::)(.+)$")
            list(APPEND rooms "${CMAKE_MATCH_2}")
        elseif(library AND NOT library MATCHES "^\\$<BUILD_INTERFACE:")
            muster_package_of("${library}" package)
            list(APPEND packages "${package}")
        endif()
    endforeach()
    list(REMOVE_DUPLICATES packages)
    list(APPEND muster_components "${component}")
    string(APPEND muster_component_needs "set(_muster_${component}_rooms \"${rooms}\")\n"
           "set(_muster_${component}_packages \"${packages}\")\n")
endforeach()

install(
    TARGETS ${muster_rooms}
    EXPORT musterTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/muster" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(muster_programs)
    install(TARGETS ${muster_programs} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/musterConfig.cmake.in" "${PROJECT_BINARY_DIR}/musterConfig.cmake"
    INSTALL_DESTINATION "${muster_package_dir}")
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/musterConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(
    EXPORT musterTargets
    NAMESPACE muster::
    DESTINATION "${muster_package_dir}")
install(
    FILES "${PROJECT_BINARY_DIR}/musterConfig.cmake"
          "${PROJECT_BINARY_DIR}/musterConfigVersion.cmake"
          "${CMAKE_CURRENT_LIST_DIR}/FindLibssh2.cmake"
    DESTINATION "${muster_package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/scripts/gdb/muster_gdb.py"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/muster/gdb")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
