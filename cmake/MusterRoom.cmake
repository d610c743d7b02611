# One function per kind of target, so that every room is declared the same way.
include(GNUInstallDirs)

# What cmake/MusterInstall.cmake installs.
set_property(GLOBAL PROPERTY MUSTER_INSTALL_TARGETS "")
set_property(GLOBAL PROPERTY MUSTER_INSTALL_PROGRAMS "")

# muster_own_code(target): our flags, for targets made of our own sources.
function(muster_own_code target)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:muster_warnings>)
    if(MUSTER_CLANG_TIDY)
        set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY "${MUSTER_CLANG_TIDY_PROGRAM}")
    endif()
endfunction()

# muster_room(name SOURCES ... [PUBLIC libs...] [PRIVATE libs...])
# The library muster_<name>, known to users as muster::<name>.
function(muster_room name)
    cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
    add_library(muster_${name} STATIC ${ARG_SOURCES})
    add_library(muster::${name} ALIAS muster_${name})
    set_target_properties(muster_${name} PROPERTIES EXPORT_NAME ${name})
    target_compile_features(muster_${name} PUBLIC cxx_std_20)
    target_include_directories(
        muster_${name}
        PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(muster_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
    muster_own_code(muster_${name})
    set_property(GLOBAL APPEND PROPERTY MUSTER_INSTALL_TARGETS muster_${name})
endfunction()

# muster_program(target SOURCES ... LIBS ... [OUTPUT name] [NO_INSTALL])
# The program build/bin/<name>, installed unless told not to.
function(muster_program target)
    cmake_parse_arguments(ARG "NO_INSTALL" "OUTPUT" "SOURCES;LIBS" ${ARGN})
    add_executable(${target} ${ARG_SOURCES})
    target_link_libraries(${target} PRIVATE ${ARG_LIBS})
    muster_own_code(${target})
    if(ARG_OUTPUT)
        set_target_properties(${target} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT})
    endif()
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
    if(NOT ARG_NO_INSTALL)
        set_property(GLOBAL APPEND PROPERTY MUSTER_INSTALL_PROGRAMS ${target})
    endif()
endfunction()
