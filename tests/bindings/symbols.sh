#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# symbols.sh <libminibox_c.so> <bindings/c>: the library exports what symbols.txt promises, in the
# version that it promises, and nothing else; minibox.h declares the same and is C99.
set -eu
library=$1 home=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only --with-symbol-versions "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >"$work/exported"
LC_ALL=C sort "$home/symbols.txt" >"$work/promised"
diff "$work/promised" "$work/exported" || { echo "exported (>) is not what is promised (<)" >&2; exit 1; }

cat >"$work/all.c" <<'C'
#include "minibox.h"
C
${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -I "$home" -E -P "$work/all.c" |
  tr '\n' ' ' | tr ';' '\n' | grep 'visibility' | grep -oE '\bminibox_[a-z_]+ ?\(' | tr -d ' (' |
  sed 's/$/@@MINIBOX_C_1/' | LC_ALL=C sort -u >"$work/declared"
diff "$work/promised" "$work/declared" || { echo "declared (>) is not what is promised (<)" >&2; exit 1; }

soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = libminibox_c.so.1 ] || { echo "soname is $soname" >&2; exit 1; }
echo "$(wc -l <"$work/exported") symbols of MINIBOX_C_1"
