#!/usr/bin/env bash
# A repaired wheel in an empty environment without a compiler: installs, and does what it must.
# usage: wheel.sh WHEEL
set -euo pipefail
wheel=$(realpath "$1")
smoke=$(realpath "$(dirname "$0")")/wheel_smoke.py
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
cd "$folder"
# From here on nothing but the environment itself can be called.
trap 'PATH=/usr/bin:/bin rm -rf "$folder"' EXIT
export HOME="$folder/home" PATH="$folder/venv/bin"
unset CC
for compiler in cc gcc clang c99 tcc cmake ninja; do
  if command -v "$compiler"; then
    echo "wheel.sh: $compiler is on PATH"
    exit 1
  fi
done
pip install -q --disable-pip-version-check --only-binary :all: "$wheel"
python "$smoke"
fabcore doctor
