#!/bin/sh
# Writes the generated pages below the folder $1: man/*, components.md, lua/mls.lua.
# MLS_BUILD: where mls was built; MLS_SOURCE: the source tree, for the models of components.
set -eu
mls=$MLS_BUILD/mls to=$1
mkdir -p "$to/man" "$to/lua"
rm -f "$to"/man/*.[157]
for page in $("$mls" help --pages); do
    "$mls" help --man "$page" >"$to/man/$page"
done
"$mls" help --markdown >"$to/components.md"
"$mls" help --luacats >"$to/lua/mls.lua"
