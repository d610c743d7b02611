# One step of the installation's tests; see CMakeLists.txt beside it.
set(prefix "${WORK}/prefix")

# run(command...): the command's output in `output`; fails the test with it when the command fails.
macro(run)
    execute_process(
        COMMAND ${ARGV}
        OUTPUT_VARIABLE output
        ERROR_VARIABLE output
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${ARGV}\nended with ${status}:\n${output}")
    endif()
endmacro()

set(configure
    "${CMAKE_COMMAND}" --fresh -G "${GENERATOR}" -S "${CONSUMER}" -B "${WORK}/${STEP}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_PREFIX_PATH=${prefix}" "-DCASE=${STEP}"
    "-DCOMPONENTS=${COMPONENTS}")

if(STEP STREQUAL "install")
    file(REMOVE_RECURSE "${prefix}")
    run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")
    if(NOT EXISTS "${prefix}/share/muster/gdb/muster_gdb.py")
        message(FATAL_ERROR "share/muster/gdb/muster_gdb.py was not installed")
    endif()

elseif(STEP STREQUAL "core")
    # The other rooms' packages are hidden: a user of the loop alone does not have them.
    set(hidden "")
    foreach(package OpenSSL Libssh2 ZLIB nlohmann_json yaml-cpp fmt spdlog libssh CLI11)
        list(APPEND hidden "-DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON")
    endforeach()
    run(${configure} ${hidden})
    run("${CMAKE_COMMAND}" --build "${WORK}/${STEP}")
    run("${WORK}/${STEP}/consumer")
    if(NOT output STREQUAL "3 * 3 + 4 * 4 = 25\n")
        message(FATAL_ERROR "the consumer printed: ${output}")
    endif()

elseif(STEP STREQUAL "everything")
    run(${configure})
    run("${CMAKE_COMMAND}" --build "${WORK}/${STEP}")
    run("${WORK}/${STEP}/consumer")

elseif(STEP STREQUAL "unknown")
    execute_process(
        COMMAND ${configure}
        OUTPUT_VARIABLE output
        ERROR_VARIABLE output
        RESULT_VARIABLE status)
    if(status EQUAL 0 OR NOT output MATCHES "no component \"nonsense\"; +it +has: +asio +core")
        message(FATAL_ERROR "configuring ended with ${status}:\n${output}")
    endif()
endif()
