#!/usr/bin/env bash
# A repaired wheel in a clean environment without a compiler: installs, imports, closes the circle.
# usage: wheel.sh WHEEL
set -euo pipefail
wheel=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "$wheel"
cd "$folder"
export CC=/bin/false
"$folder/venv/bin/python" - <<'PY'
import fabcore

node = fabcore.ResourceNode.emulated()
ctl = fabcore.Controller(node)
for k, weight in enumerate((1.0, 3.0)):
    ctl.add_vm(f"vm{k}", module=k, weight=weight)
    node.offer(f"vm{k}", 60e9, 0.0)
ctl.run(rate_hz=1000, seconds=0.2)
before = [node.delivered(f"vm{k}")[0] for k in range(2)]
ctl.run(rate_hz=1000, seconds=0.2)
moved = [node.delivered(f"vm{k}")[0] - before[k] for k in range(2)]
share = moved[1] / sum(moved)
assert abs(share - 0.75) < 0.01, share
print(f"wheel: 1 of {sum(moved) / 1e9:.2f} GB shared {1 - share:.3f} : {share:.3f}")
PY
"$folder/venv/bin/fabcore" doctor
