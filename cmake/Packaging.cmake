# SPDX-License-Identifier: Apache-2.0
# Debian packages, from the tree of the preset `package`: cpack -G DEB
#   libminibox0.1      libminibox.so.0.1 and libminibox_c.so.1
#   libminibox-dev     headers, CMake and pkg-config files
#   minibox            miniboxd, minibox, unit and man pages
#   python3-minibox    the Python package
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME minibox)
set(CPACK_PACKAGE_VENDOR MiniBox)
set(CPACK_PACKAGE_CONTACT "MiniBox <minibox@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL library dev tools python)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The tools find their library among what is packaged.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/libminibox
                                                ${PROJECT_BINARY_DIR}/bindings/c)

set(series ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(library libminibox${series})
set(same "${library} (= ${PROJECT_VERSION})")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "container engine as a library
 Builds images, keeps them, moves them to and from registries, and runs containers.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libminibox-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${same}")
set(CPACK_COMPONENT_DEV_DESCRIPTION "container engine as a library: C++ and C headers
 Headers, CMake targets minibox::minibox and minibox::c, and pkg-config files.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME minibox)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${same}")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "container engine: daemon and command line
 miniboxd offers containers and images over HTTP, minibox on the command line.")

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-minibox)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.9), ${same}")
set(CPACK_COMPONENT_PYTHON_DESCRIPTION "container engine as a library: Python package
 Images, containers, builds and networks from Python, without a daemon.")

include(CPack)
