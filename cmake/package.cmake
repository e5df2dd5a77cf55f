# What an embedder finds: headers (C, C++, Cython), a pkg-config file and a CMake package.
file(GLOB FAB_PUBLIC_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/include/*.h
     ${PROJECT_SOURCE_DIR}/csrc/include/*.hpp)
install(FILES ${FAB_PUBLIC_HEADERS} ${PROJECT_SOURCE_DIR}/bindings/fabcore_c.pxd
        DESTINATION ${FAB_ROOT}/include)

if(SKBUILD)
  set(FAB_PKGCONFIG_DIR ${FAB_ROOT}/pkgconfig)
  set(FAB_CMAKE_DIR ${FAB_ROOT}/cmake)
  set(FAB_PREFIX_FROM_PC "\${pcfiledir}/..")
  set(FAB_PREFIX_FROM_CMAKE "..")
else()
  set(FAB_PKGCONFIG_DIR ${FAB_LIBDIR}/pkgconfig)
  set(FAB_CMAKE_DIR ${FAB_LIBDIR}/cmake/fabcore)
  # Up from where they are, so that an installed tree can be moved; a distribution's library
  # directory is deeper than lib.
  foreach(kind PKGCONFIG CMAKE)
    file(RELATIVE_PATH FAB_UP "/${FAB_${kind}_DIR}" "/")
    string(REGEX REPLACE "/$" "" FAB_UP_FROM_${kind} "${FAB_UP}")
  endforeach()
  set(FAB_PREFIX_FROM_PC "\${pcfiledir}/${FAB_UP_FROM_PKGCONFIG}")
  set(FAB_PREFIX_FROM_CMAKE "${FAB_UP_FROM_CMAKE}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/fabcore.pc.in fabcore.pc @ONLY)
configure_file(${PROJECT_SOURCE_DIR}/cmake/fabcoreConfig.cmake.in fabcoreConfig.cmake @ONLY)
write_basic_package_version_file(fabcoreConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fabcore.pc DESTINATION ${FAB_PKGCONFIG_DIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fabcoreConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/fabcoreConfigVersion.cmake
        DESTINATION ${FAB_CMAKE_DIR})
