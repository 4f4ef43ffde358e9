#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh <build tree>: installs into a fresh prefix, then builds and runs the consumer against it,
# once found by CMake and once by pkg-config.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >/dev/null
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/consumer" "$work/store-1"

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name minibox.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # flags are words
${CXX:-g++} -std=c++20 "$here/main.cc" -o "$work/consumer" $(pkg-config --cflags --static --libs minibox)
"$work/consumer" "$work/store-2"
