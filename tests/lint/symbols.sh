#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# symbols.sh <libminibox.so>: the shared library exports minibox::v1 and nothing else, and asks
# for no library that the public headers do not explain.
others=$(nm -D --defined-only --demangle "$1" | sed 's/^[0-9a-f ]* [A-Za-z] //' |
  grep -vE '^((typeinfo|typeinfo name|vtable|guard variable|VTT) for )?minibox::v1::|^(typeinfo|vtable).*minibox::v1::')
if [ -n "$others" ]; then
  echo "exported, but not of minibox::v1:"
  echo "$others" | head -20
  exit 1
fi
count=$(nm -D --defined-only --demangle "$1" | grep -c 'minibox::v1::')
echo "$count symbols, all of minibox::v1"
[ "$count" -gt 50 ]
