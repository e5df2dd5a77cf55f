#!/usr/bin/env bash
# Builds and runs the fuzz targets with libFuzzer, address and undefined-behaviour sanitizers, from
# the committed corpora (tests/fuzz/corpus), which are only read, and what earlier runs found.
# usage: run.sh SECONDS_PER_TARGET
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/fuzz
mkdir -p "$out"
cc=
for candidate in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
  command -v "$candidate" >/dev/null || continue
  printf 'int LLVMFuzzerTestOneInput(const char *d, long n) { (void)d, (void)n; return 0; }' |
    "$candidate" -x c -fsanitize=fuzzer,address -o "$out/probe" - 2>/dev/null && cc=$candidate && break
done
if [ -z "$cc" ]; then
  echo "SKIPPED fuzz targets: no clang with libFuzzer (Debian: clang-14 libclang-rt-14-dev)"
  [ -z "${FABCORE_CI:-}" ] || exit 1
  exit 0
fi
flags=(-std=c11 -g -O1 -fno-sanitize-recover=all
  -I"$root/csrc/include" -I"$root/csrc" -I"$root/csrc/switch" -I"$root/csrc/emulator")
# The core once, for all targets.
rm -rf "$out/core"
mkdir -p "$out/core"
export cc out root
compile() {
  local object=${1#"$root"/}
  shift 1
  "$cc" "$@" -fsanitize=fuzzer-no-link,address,undefined -c "$root/$object" \
    -o "$out/core/${object//\//-}.o"
}
export -f compile
printf '%s\0' "$root/tests/fuzz/guard.c" "$root"/csrc/*.c "$root"/csrc/*/*.c |
  xargs -0 -P "$(nproc)" -I{} bash -c 'compile "$@"' _ {} "${flags[@]}"
for source in "$root"/tests/fuzz/fuzz_*.c; do
  name=$(basename "$source" .c)
  "$cc" "${flags[@]}" -fsanitize=fuzzer,address,undefined -Wl,--wrap=mmap,--wrap=munmap \
    -o "$out/$name" "$source" "$out"/core/*.o -lpthread -lm
  mkdir -p "$out/corpus-$name"
  seeds=$root/tests/fuzz/corpus/${name#fuzz_}
  [ -d "$seeds" ] || seeds=
  (cd "$out" && "./$name" -max_total_time="$1" -max_len=8192 -timeout=20 -verbosity=0 \
    -print_final_stats=1 "corpus-$name" ${seeds:+"$seeds"} 2>"$name.log") || {
    tail -n 30 "$out/$name.log"
    exit 1
  }
  reached=$(grep number_of_executed_units "$out/$name.log" | tr -dc 0-9)
  # A target that hardly runs finds nothing: its source states what a second must reach at least.
  least=$(sed -n 's/^.*At least \([0-9]*\) executions a second.*$/\1/p' "$source")
  floor=$(($1 * ${least:-1}))
  if [ "${reached:-0}" -lt "$floor" ]; then
    echo "$name: only ${reached:-0} executions in $1 s, at least $floor are due"
    exit 1
  fi
  echo "$name: $reached executions (at least $floor), no fault"
done
