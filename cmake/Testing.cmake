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

# bctx_python_test(NAME FILE) is a program of tests/support/cases.py, run by the Python of the
# dependency prefix with the folders that it needs in its environment.
function(bctx_python_test name file)
  add_test(NAME ${name} COMMAND "${BACKENDCTX_DEPS}/venv/bin/python" "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  set_tests_properties(${name} PROPERTIES LABELS python
    ENVIRONMENT "BCTX_SOURCE=${PROJECT_SOURCE_DIR};BCTX_BUILD=${PROJECT_BINARY_DIR};BCTX_DEPS=${BACKENDCTX_DEPS};PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support")
endfunction()
