# Third-party packages, each under the one name that the rest of the build uses.
if(NOT BACKENDCTX_DEPS)
  execute_process(COMMAND "${PROJECT_SOURCE_DIR}/scripts/setup" --where
    OUTPUT_VARIABLE bctx_prefix OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(NOT EXISTS "${bctx_prefix}/onnx")
    message(FATAL_ERROR "the dependency prefix ${bctx_prefix} is empty: run scripts/setup, which fills it")
  endif()
  set(BACKENDCTX_DEPS "${bctx_prefix}" CACHE PATH "" FORCE)
endif()

find_package(Protobuf 3.21 REQUIRED)  # before ONNX, whose package file expects its targets
find_package(ONNX 1.23 REQUIRED CONFIG PATHS "${BACKENDCTX_DEPS}/onnx" NO_DEFAULT_PATH)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_package(zstd REQUIRED CONFIG)
find_package(fmt 9 REQUIRED CONFIG)
find_package(nlohmann_json 3.11 REQUIRED CONFIG)
find_package(spdlog REQUIRED CONFIG)
find_package(CLI11 2.1 REQUIRED CONFIG)
find_package(Threads REQUIRED)
if(BACKENDCTX_TESTS)
  find_package(Catch2 2.13 REQUIRED CONFIG)
endif()
if(BACKENDCTX_BENCH)
  find_package(benchmark 1.7 REQUIRED CONFIG)
endif()
if(BACKENDCTX_COMPILER)
  find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/llvm)
  find_package(LLD REQUIRED CONFIG HINTS "${LLVM_LIBRARY_DIR}/cmake/lld")
endif()
if(BACKENDCTX_ORT)
  find_package(ZLIB 1.2 REQUIRED)  # comes with libprotobuf-dev
  add_library(bctx_ort_headers INTERFACE)
  target_include_directories(bctx_ort_headers SYSTEM INTERFACE "${BACKENDCTX_DEPS}/ort-headers")
endif()

# ONNX Runtime is loaded at run time and never linked. Proofs and samples look for it beside our own
# libraries, so the build folder gets a link to the pinned release.
file(STRINGS "${PROJECT_SOURCE_DIR}/dependencies.lock" bctx_ort_pin REGEX "^python +onnxruntime==")
string(REGEX REPLACE "^python +onnxruntime==([0-9.]+).*" "\\1" BACKENDCTX_ORT_VERSION "${bctx_ort_pin}")
set(bctx_ort_library
  "${BACKENDCTX_DEPS}/ort/${BACKENDCTX_ORT_VERSION}/libonnxruntime.so.${BACKENDCTX_ORT_VERSION}")
if(EXISTS "${bctx_ort_library}")
  file(MAKE_DIRECTORY "${CMAKE_LIBRARY_OUTPUT_DIRECTORY}")
  file(CREATE_LINK "${bctx_ort_library}" "${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/libonnxruntime.so.1" SYMBOLIC)
endif()

# OpenVINO's wheel is among what the tests try (scripts/setup --tests); without it there is no
# backend of this name. Another one: -DOpenVINO_DIR=FOLDER of its OpenVINOConfig.cmake.
set(BACKENDCTX_OPENVINO_FOUND OFF)
if(BACKENDCTX_OPENVINO)
  set(bctx_openvino "${BACKENDCTX_DEPS}/consumers/lib/python3.11/site-packages/openvino/cmake")
  if(OpenVINO_DIR OR EXISTS "${bctx_openvino}")
    file(STRINGS "${PROJECT_SOURCE_DIR}/dependencies.lock" bctx_openvino_pin
      REGEX "^consumer +openvino==")
    string(REGEX REPLACE "^consumer +openvino==([0-9.]+).*" "\\1" bctx_openvino_version
      "${bctx_openvino_pin}")
    find_package(OpenVINO ${bctx_openvino_version} EXACT REQUIRED CONFIG COMPONENTS Runtime ONNX
      HINTS "${bctx_openvino}")
    set(BACKENDCTX_OPENVINO_FOUND ON)
  else()
    message(STATUS "OpenVINO is not in ${BACKENDCTX_DEPS}: its backend is not built")
  endif()
endif()
