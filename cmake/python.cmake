# The Cython module _core and the cffi module _embed, both linked to the libfabcore.so beside them.
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)

set(CORE_PYX ${PROJECT_SOURCE_DIR}/bindings/_core.pyx)
set(CORE_PXD ${PROJECT_SOURCE_DIR}/bindings/fabcore_c.pxd)
file(GLOB CORE_PXI CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/*.pxi)
add_custom_command(
  OUTPUT _core.c
  COMMAND Python::Interpreter -m cython -3 --fast-fail -I ${PROJECT_SOURCE_DIR}/bindings
          -o ${CMAKE_CURRENT_BINARY_DIR}/_core.c ${CORE_PYX}
  DEPENDS ${CORE_PYX} ${CORE_PXD} ${CORE_PXI}
  VERBATIM)
Python_add_library(_core MODULE WITH_SOABI _core.c)

set(EMBED_PY ${PROJECT_SOURCE_DIR}/bindings/_embed.py)
file(GLOB FAB_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/include/*.h)
add_custom_command(
  OUTPUT _embed.c
  COMMAND Python::Interpreter ${EMBED_PY} --cc ${CMAKE_C_COMPILER}
          --include ${PROJECT_SOURCE_DIR}/csrc/include ${CMAKE_CURRENT_BINARY_DIR}/_embed.c
  DEPENDS ${EMBED_PY} ${FAB_HEADERS}
  VERBATIM)
Python_add_library(_embed MODULE WITH_SOABI _embed.c)

foreach(module _core _embed)
  target_link_libraries(${module} PRIVATE fabcore)
  # An extension that needs nothing of libc by name confuses auditwheel: keep the dependency.
  target_link_options(${module} PRIVATE LINKER:--no-as-needed -lc)
  set_target_properties(${module} PROPERTIES INSTALL_RPATH "$ORIGIN" C_VISIBILITY_PRESET default
                                             C_EXTENSIONS ON)
  install(TARGETS ${module} LIBRARY DESTINATION fabcore)
endforeach()
