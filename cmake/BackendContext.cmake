# bctx_module(NAME SOURCES ... [DEPENDS modules ...] [PRIVATE third-party targets ...])
#
# One folder of libbackendctx/src = one static library bctx_NAME. DEPENDS are the modules whose
# headers this one may include; the layering test reads the includes themselves.
function(bctx_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(bctx_${name} STATIC ${ARG_SOURCES})
  target_include_directories(bctx_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/libbackendctx/include" "${PROJECT_SOURCE_DIR}/libbackendctx/src")
  list(TRANSFORM ARG_DEPENDS PREPEND bctx_)
  target_link_libraries(bctx_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE})
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
function(bctx_sanitize target)
  if(BACKENDCTX_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${BACKENDCTX_SANITIZE}
      -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${BACKENDCTX_SANITIZE})
  endif()
endfunction()
