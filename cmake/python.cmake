# The Cython module _core and the cffi module _embed, both linked to the libfabcore.so beside them.
# Built with -C wheel.py-api=cp312 both keep to the stable ABI: one wheel for every later Python.
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})
if(SKBUILD_SABI_VERSION)
  set(FAB_SABI USE_SABI ${SKBUILD_SABI_VERSION})
endif()

set(CORE_PYX ${PROJECT_SOURCE_DIR}/bindings/_core.pyx)
set(CORE_PXD ${PROJECT_SOURCE_DIR}/bindings/fabcore_c.pxd)
file(GLOB CORE_PXI CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/*.pxi)
add_custom_command(
  OUTPUT _core.c
  COMMAND Python::Interpreter -m cython -3 --fast-fail -I ${PROJECT_SOURCE_DIR}/bindings
          -o ${CMAKE_CURRENT_BINARY_DIR}/_core.c ${CORE_PYX}
  DEPENDS ${CORE_PYX} ${CORE_PXD} ${CORE_PXI}
  VERBATIM)
Python_add_library(_core MODULE ${FAB_SABI} WITH_SOABI _core.c)

set(EMBED_PY ${PROJECT_SOURCE_DIR}/bindings/_embed.py)
file(GLOB FAB_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/include/*.h)
add_custom_command(
  OUTPUT _embed.c
  COMMAND Python::Interpreter ${EMBED_PY} --cc ${CMAKE_C_COMPILER}
          --include ${PROJECT_SOURCE_DIR}/csrc/include ${CMAKE_CURRENT_BINARY_DIR}/_embed.c
  DEPENDS ${EMBED_PY} ${FAB_HEADERS}
  VERBATIM)
Python_add_library(_embed MODULE ${FAB_SABI} WITH_SOABI _embed.c)

foreach(module _core _embed)
  target_link_libraries(${module} PRIVATE fabcore)
  # An extension that needs nothing of libc by name confuses auditwheel: keep the dependency.
  target_link_options(${module} PRIVATE LINKER:--no-as-needed -lc)
  set_target_properties(${module} PROPERTIES INSTALL_RPATH "$ORIGIN" C_VISIBILITY_PRESET default
                                             C_EXTENSIONS ON)
  if(SKBUILD_SABI_VERSION)
    target_compile_definitions(${module} PRIVATE CYTHON_LIMITED_API=1)
  endif()
  install(TARGETS ${module} LIBRARY DESTINATION fabcore)
endforeach()
