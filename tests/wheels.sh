#!/usr/bin/env bash
# A wheel for every supported Python at hand, and the stable-ABI one that later ones take: built,
# repaired, and tried in an empty environment of each Python that it is for.
# usage: wheels.sh DIST WHEELHOUSE   (auditwheel, patchelf and abi3audit on PATH)
# PYTHONS: the interpreters; without it those of pyenv and python3.N on PATH, one for each version.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$1 house=$2
mkdir -p "$dist" "$house"

version() { "$1" -c 'import sys; print("%d%d" % sys.version_info[:2])'; }

find_pythons() {
  local minor python
  for minor in 11 12 13 14; do
    for python in "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python "python3.$minor"; do
      if command -v "$python" >/dev/null && [ "$(version "$python")" = "3$minor" ]; then
        command -v "$python"
        continue 2
      fi
    done
    echo "wheels: Python 3.$minor is not at hand: not built, not tried" >&2
  done
}

# make PYTHON TAG [option for pip...]: builds and repairs; the wheel's path in $wheel.
make_wheel() {
  local python=$1 tag=$2
  shift 2
  rm -f "$dist"/*-"$tag"-* "$house"/*-"$tag"-*
  "$python" -m pip wheel -q --disable-pip-version-check --no-deps -w "$dist" "$@" .
  auditwheel repair -w "$house" "$dist"/*-"$tag"-*.whl
  wheel=$(echo "$house"/*-"$tag"-*.whl)
}

[ -n "${PYTHONS:-}" ] || PYTHONS=$(find_pythons)
abi3=
for python in $PYTHONS; do
  v=$(version "$python")
  make_wheel "$python" "cp$v-cp$v"
  PYTHON=$python tests/wheel.sh "$wheel"
  [ "$v" -lt 312 ] && continue
  if [ -z "$abi3" ]; then
    make_wheel "$python" cp312-abi3 -C wheel.py-api=cp312
    abi3audit --strict "$wheel"
    abi3=$wheel
  fi
  PYTHON=$python tests/wheel.sh "$abi3"
done
ls -l "$house"
