#!/bin/sh
# NIR files against Python's nir package; MLS_PYTHON names a Python that has it (PyPI: nir).
set -u
python=${MLS_PYTHON:-python3}
if ! "$python" -c 'import nir, h5py' 2>/dev/null; then
    echo "1..0 # SKIP $python has no package nir; MLS_PYTHON names another"
    exit 0
fi
build=$(cd "${MLS_BUILD:-.}" && pwd)
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
"$python" "${MLS_SOURCE:-.}/tests/cli/python_nir.py" "$build/mls" "$folder"
