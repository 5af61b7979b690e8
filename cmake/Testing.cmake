# bctx_test(NAME SOURCES ... LINK targets ... [HOSTILE])
#
# One test program, run as one ctest entry. HOSTILE programs are run again under the sanitizers.
function(bctx_test name)
  cmake_parse_arguments(ARG "HOSTILE" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} Catch2::Catch2WithMain)
  bctx_own_code(${name})
  add_test(NAME ${name} COMMAND ${name})
  if(ARG_HOSTILE)
    set_tests_properties(${name} PROPERTIES LABELS hostile)
  endif()
endfunction()
