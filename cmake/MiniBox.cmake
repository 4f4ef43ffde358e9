# SPDX-License-Identifier: Apache-2.0
# What every target of this project shares, and the functions that define modules and tests.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# Language level, warnings and instrumentation; linked by every target of ours.
add_library(mbx_options INTERFACE)
target_compile_features(mbx_options INTERFACE cxx_std_20)
target_include_directories(
  mbx_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libminibox>)
target_compile_definitions(mbx_options INTERFACE _GNU_SOURCE)
target_compile_options(mbx_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers
                                             -fvisibility=hidden)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(mbx_options INTERFACE -Wthread-safety)
endif()
if(MINIBOX_WERROR)
  target_compile_options(mbx_options INTERFACE -Werror)
endif()
if(MINIBOX_SANITIZE)
  target_compile_options(mbx_options INTERFACE -fsanitize=${MINIBOX_SANITIZE}
                                               -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mbx_options INTERFACE -fsanitize=${MINIBOX_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented code makes g++ 12 see uninitialised std::optional and std::variant everywhere.
    target_compile_options(mbx_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
if(MINIBOX_COVERAGE)
  target_compile_options(mbx_options INTERFACE --coverage)
  target_link_options(mbx_options INTERFACE --coverage)
endif()
target_link_libraries(mbx_options INTERFACE Threads::Threads)

# mbx_module(<name> SOURCES <file>… [DEPS <module>…] [LIBS <library>…])
# The static library mbx_<name> of one folder of libminibox. DEPS are the modules that the
# layer table allows it to use.
function(mbx_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(mbx_${name} STATIC ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND mbx_)
  target_link_libraries(mbx_${name} PUBLIC mbx_options ${ARG_DEPS} PRIVATE ${ARG_LIBS})
  set_property(GLOBAL APPEND PROPERTY MBX_MODULES mbx_${name})
  set_property(GLOBAL APPEND PROPERTY MBX_MODULE_LIBS ${ARG_LIBS})
endfunction()

add_custom_target(unit-tests)

# mbx_test(<name> LABEL unit|root|e2e SOURCES <file>… [DEPS <module>…] [LIBS <library>…])
# One GoogleTest program, one ctest entry. Tier `root` needs a real kernel and root.
function(mbx_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND mbx_)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE mbx_options ${ARG_DEPS} ${ARG_LIBS} mbx_test_support)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABEL STREQUAL "unit")
    add_dependencies(unit-tests ${name})
  else()
    # These look at the whole machine (mounts, links, cgroups) before and after.
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()
