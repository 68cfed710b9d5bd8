#!/bin/sh
# A virtual environment with the packages that mls bench --peers measures mls against:
#
#   scripts/bench/setup.sh DIRECTORY [--torch debian|pypi]
#   build/mls bench component training --peers DIRECTORY/bin/python
#
# --torch debian (the default) takes PyTorch, NumPy and h5py from the distribution
# (Debian: python3-torch python3-h5py python3-venv); --torch pypi takes the newest
# PyTorch from PyPI, several gigabytes with what it depends on.  The others come
# from PyPI, without their dependencies, which would fetch another PyTorch.
set -eu
usage() { echo "usage: $0 DIRECTORY [--torch debian|pypi]" >&2; exit 2; }
dir= torch=debian
while [ $# -gt 0 ]; do
    case $1 in
    --torch) [ $# -gt 1 ] || usage; torch=$2; shift ;;
    --torch=*) torch=${1#--torch=} ;;
    -*) usage ;;
    *) [ -z "$dir" ] || usage; dir=$1 ;;
    esac
    shift
done
[ -n "$dir" ] || usage
case $torch in
debian) /usr/bin/python3 -m venv --system-site-packages "$dir" ;;
pypi) /usr/bin/python3 -m venv "$dir"
    "$dir/bin/python" -m pip install -q torch numpy h5py ;;
*) usage ;;
esac
"$dir/bin/python" -m pip install -q --no-deps ncps==1.0.1 snntorch==0.9.4 \
    mambapy==1.2.0 einops==0.8.2
"$dir/bin/python" -c 'import torch, h5py, ncps, snntorch, mambapy
print("torch", torch.__version__)'
