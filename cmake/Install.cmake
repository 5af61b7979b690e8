# What `cmake --install` leaves: the library with its headers and package files, the provider, the
# plug-ins, the tools and the programs that they start. The tree may be moved: everything finds its
# neighbours from where it lies. ONNX Runtime is not installed; hosts bring their own.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(bctx_headers)
foreach(name change cleanup digest encode export extract manifest operators pack package plugin_abi plugins references
    selection session status trust version)
  list(APPEND bctx_headers "${PROJECT_SOURCE_DIR}/libbackendctx/include/backendctx/${name}.h")
endforeach()
target_sources(backendctx PUBLIC FILE_SET HEADERS
  BASE_DIRS "${PROJECT_SOURCE_DIR}/libbackendctx/include" FILES ${bctx_headers})
set_target_properties(backendctx PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON INSTALL_RPATH "$ORIGIN")
target_include_directories(backendctx INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(backendctx INTERFACE cxx_std_20)

install(TARGETS backendctx EXPORT backendctx-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT backendctx-targets NAMESPACE backendctx::
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/backendctx)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/backendctx-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/backendctx-config.cmake.in"
  "${PROJECT_BINARY_DIR}/backendctx-config.cmake"
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/backendctx)
install(FILES "${PROJECT_BINARY_DIR}/backendctx-config.cmake"
  "${PROJECT_BINARY_DIR}/backendctx-config-version.cmake"
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/backendctx)

# Loaded by name from beside the library.
foreach(module bctx_cpu_attention_compiler bctx_cpu_attention_driver bctx_reference)
  if(TARGET ${module})
    # The same in the build folder, where they lie beside each other too. Debian has libLLVM where
    # every program looks.
    set_target_properties(${module} PROPERTIES INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH ON)
    install(TARGETS ${module} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endforeach()
# The provider is loaded too, and linked by hosts that use Session.
if(TARGET backendctx_ort)
  set_target_properties(backendctx_ort PROPERTIES INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH ON)
  install(TARGETS backendctx_ort EXPORT backendctx-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
# Found by each other beside themselves; only the tools link the library.
set_target_properties(bctx-pack bctx-inspect PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
foreach(program bctx-pack bctx-inspect bctx-conformance bctx-run bctx-run-body bctx-run-model)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
if(TARGET bctx_run_aarch64)
  install(PROGRAMS "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/bctx-run-aarch64"
    DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY schemas/ DESTINATION ${CMAKE_INSTALL_DATADIR}/backendctx/schemas
  FILES_MATCHING PATTERN "*.json" PATTERN "*.proto")
