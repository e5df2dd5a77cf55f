#!/usr/bin/env bash
# The sdist builds and installs without a network, given only what pyproject.toml asks of a builder.
# usage: sdist.sh SDIST
set -euo pipefail
sdist=$(realpath "$1")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
export PATH="$folder/venv/bin:$PATH"
python - >"$folder/requires.txt" <<'PY'
import tomllib

with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
PY
pip install -q --disable-pip-version-check -r "$folder/requires.txt"
cd "$folder"
if unshare -rn true 2>/dev/null; then
  cut="unshare -rn"
else
  cut=
  echo "sdist: no right to cut the network off; pip is told to leave it alone"
fi
$cut pip install -q --disable-pip-version-check --no-build-isolation --no-index --no-deps "$sdist"
python - <<'PY'
import ctypes
import fabcore

library = ctypes.CDLL(fabcore.get_library())
library.fab_version.restype = ctypes.c_char_p
assert library.fab_version().decode() == fabcore.__version__
print(f"sdist: built offline, libfabcore {fabcore.__version__} loads")
PY
