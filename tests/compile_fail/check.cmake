# cmake -DCOMPILER= -DCOMPILER_ID= -DOPTIONS= -DINCLUDE= -DSOURCE= -P check.cmake
# What muster_compile_fail() runs; see CMakeLists.txt beside this.
cmake_minimum_required(VERSION 3.25)

file(STRINGS "${SOURCE}" heading LIMIT_COUNT 2)
list(GET heading 0 first)
list(GET heading 1 second)
if(NOT first MATCHES "^// expect: (.+)$")
    message(FATAL_ERROR "${SOURCE} must begin with '// expect: ' and a regular expression")
endif()
set(expected "${CMAKE_MATCH_1}")
if(second MATCHES "^// only: ([A-Za-z]+)" AND NOT CMAKE_MATCH_1 STREQUAL COMPILER_ID)
    message("not for this compiler: ${second}")
    return()
endif()

list(FILTER OPTIONS EXCLUDE REGEX "^SHELL:") # about precompiled headers, and there are none

# A discarded value is a warning: it refuses only as an error.
set(command "${COMPILER}" -std=c++20 -fsyntax-only ${OPTIONS} -Werror "-I${INCLUDE}" "${SOURCE}")
set(ENV{LC_ALL} C)
execute_process(COMMAND ${command} RESULT_VARIABLE status ERROR_VARIABLE output)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "without MUSTER_BAD it should compile:\n${output}")
endif()
execute_process(COMMAND ${command} -DMUSTER_BAD RESULT_VARIABLE status ERROR_VARIABLE output)
if(status EQUAL 0)
    message(FATAL_ERROR "with MUSTER_BAD it should be refused, and compiles")
endif()
if(NOT output MATCHES "${expected}")
    message(FATAL_ERROR "it is refused, but not with '${expected}':\n${output}")
endif()
