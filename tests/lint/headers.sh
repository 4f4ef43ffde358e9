#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone, with nothing but the standard library in reach.
cd "$(dirname "$0")/../.." || exit 1
status=0
for header in include/minibox/*.h; do
  echo "#include \"minibox/${header##*/}\"" |
    ${CXX:-g++} -std=c++20 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ - || status=1
done
exit $status
