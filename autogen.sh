#!/bin/sh
# Makes ./configure from configure.ac; needs autoconf, automake and pkg-config.
set -e
cd "$(dirname "$0")"
mkdir -p framework/build-aux framework/m4
exec autoreconf --install --force --warnings=no-portability "$@"
