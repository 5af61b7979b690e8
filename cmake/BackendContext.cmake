# bctx_module(NAME SOURCES ... [DEPENDS modules ...] [PRIVATE third-party targets ...] [SANITIZE needs])
#
# One folder of libbackendctx/src = one static library bctx_NAME. DEPENDS are the modules whose
# headers this one may include; the layering test reads the includes themselves.
function(bctx_module name)
  cmake_parse_arguments(ARG "" "SANITIZE" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(bctx_${name} STATIC ${ARG_SOURCES})
  target_include_directories(bctx_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/libbackendctx/include" "${PROJECT_SOURCE_DIR}/libbackendctx/src")
  list(TRANSFORM ARG_DEPENDS PREPEND bctx_)
  target_link_libraries(bctx_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE})
  set_target_properties(bctx_${name} PROPERTIES BCTX_SANITIZE "${ARG_SANITIZE}")
  bctx_own_code(bctx_${name})
endfunction()

# Flags of our own code: warnings are errors, sanitizers where asked for.
function(bctx_own_code target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
      -Wnon-virtual-dtor -Werror>
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Werror>)
  bctx_sanitize(${target})
endfunction()

# Everything that is linked together is instrumented together.
#
# The sanitizer part of the tests has five minutes on two cores with nothing cached, and what it takes
# is compiling the checks. Processor seconds of one test's sources as one source, GCC 12:
#
#   every check, -O1           10.6     light checks, -O1            7.0
#   every check, -O0            6.5     light checks, -O0            4.3
#   no code generated           2.2
#
# So the preset compiles each target as one source, without optimisation and with the light checks.
# A target's property BCTX_SANITIZE says what else it needs: `hot`, for what the tests run thousands of
# times on damaged packages, optimisation; `bytes`, for what finds untrusted bytes at computed places,
# that and the checks of each use of a pointer, which the address sanitizer makes only in part:
# misaligned and wrapped pointers, sizes of objects.
function(bctx_sanitize target)
  if(BACKENDCTX_SANITIZE)
    set(needs "$<TARGET_PROPERTY:BCTX_SANITIZE>")
    target_compile_options(${target} PRIVATE -fsanitize=${BACKENDCTX_SANITIZE}
      -fno-omit-frame-pointer -fno-sanitize-recover=all
      -w  # the release build is who warns: many sources as one, and the checks, have warnings of their own
      $<$<IN_LIST:${needs},hot$<SEMICOLON>bytes>:-O1>)
    if(BACKENDCTX_SANITIZE_LIGHT)
      target_compile_options(${target} PRIVATE
        $<$<NOT:$<STREQUAL:${needs},bytes>>:-fno-sanitize=${BACKENDCTX_SANITIZE_LIGHT}>)
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${BACKENDCTX_SANITIZE})
  endif()
endfunction()
