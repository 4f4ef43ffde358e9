#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python_tests.sh <libminibox_c.so> <scratch directory> <base.tar.gz>: the tests of the Python
# package, with the library that was built; by Debian's Python, which has pytest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export MINIBOX_LIBRARY="$1" MINIBOX_TEST_DIR="$2" MINIBOX_TEST_BASE="$3"
export PYTHONPATH="$here/../../bindings/python" PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m pytest -q -p no:cacheprovider -W error "$here/python"
