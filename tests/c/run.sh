#!/usr/bin/env bash
# Builds and runs the C tests: plain with warnings as errors, then under each sanitizer at hand.
# usage: run.sh BUILD_DIR JOBS
set -euo pipefail
build=$1 jobs=$2
root=$(cd "$(dirname "$0")/../.." && pwd)

has_sanitizer() {
  local out
  out=$(mktemp)
  printf 'int main(void){return 0;}' | "${CC:-cc}" -x c -fsanitize="$1" -o "$out" - 2>/dev/null && "$out"
  local rc=$?
  rm -f "$out"
  return $rc
}

suite() {
  local name=$1 sanitize=$2
  cmake -S "$root" -B "$build/$name" -G Ninja -DFAB_TESTS=ON -DFAB_WERROR=ON \
    -DFAB_SANITIZE="$sanitize" >/dev/null
  cmake --build "$build/$name" -j "$jobs" | tail -n 1
  echo "C tests: $name"
  ctest --test-dir "$build/$name" --output-on-failure -j "$jobs" | tail -n 8
}

suite plain ""
for pair in asan:address,undefined tsan:thread; do
  if has_sanitizer "${pair#*:}"; then
    suite "${pair%%:*}" "${pair#*:}"
  else
    echo "SKIPPED C tests under ${pair#*:}: this compiler has no runtime for it"
    [ -z "${FABCORE_CI:-}" ] || exit 1
  fi
done
