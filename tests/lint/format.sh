#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every source is as clang-format writes it.
cd "$(dirname "$0")/../.." || exit 1
find include libminibox bindings tools tests bench -name '*.cc' -o -name '*.c' -o -name '*.h' | sort |
  xargs clang-format --dry-run --Werror
