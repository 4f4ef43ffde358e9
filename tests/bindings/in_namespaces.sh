#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# in_namespaces.sh <program> [<argument>…]: runs it as root in network and mount namespaces of its
# own as `<program> [<argument>…] <scratch directory> <base.tar.gz>`, the latter being a root file
# system that is busybox.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/../../examples/hello/make-base" "$work/base.tar.gz"
# shellcheck disable=SC2016  # expanded inside
unshare --net --mount sh -euc 'ip link set lo up; exec "$@"' sh "$@" "$work" "$work/base.tar.gz"
