#!/bin/sh
# A virtual environment with the implementations that parity.py compares mls with:
#
#   scripts/golden/setup.sh DIRECTORY
#   DIRECTORY/bin/python scripts/golden/parity.py --mls build/mls
#
# PyTorch, NumPy and h5py are the distribution's (Debian: python3-torch python3-h5py
# python3-venv); the rest come from PyPI in the versions that the table was made with,
# without their dependencies, which would fetch another PyTorch.  Two files cannot be
# installed so; parity.py runs them from clones:
#   git clone https://github.com/state-spaces/mamba   --mamba mamba   (commit e9594ce)
#   git clone https://github.com/state-spaces/s4      --s4 s4         (commit e757cef)
set -eu
[ $# = 1 ] || { echo "usage: $0 DIRECTORY" >&2; exit 2; }
/usr/bin/python3 -m venv --system-site-packages "$1"
"$1/bin/python" -m pip install -q --no-deps ncps==1.0.1 snntorch==0.9.4 mambapy==1.2.0 \
    einops==0.8.2 spikingjelly==0.0.0.0.14 nir==1.0.8
"$1/bin/python" -c 'import torch, h5py, ncps, snntorch, mambapy, spikingjelly, nir'
