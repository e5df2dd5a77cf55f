#!/usr/bin/env bash
# Builds and runs the fuzz targets with libFuzzer, address and undefined-behaviour sanitizers.
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
for source in "$root"/tests/fuzz/fuzz_*.c; do
  name=$(basename "$source" .c)
  "$cc" -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -Wl,--wrap=mmap,--wrap=munmap -I"$root/csrc/include" -I"$root/csrc" -I"$root/csrc/switch" -I"$root/csrc/emulator" \
    -o "$out/$name" "$source" "$root/tests/fuzz/guard.c" "$root"/csrc/*.c "$root"/csrc/*/*.c -lpthread -lm
  mkdir -p "$out/corpus-$name"
  (cd "$out" && "./$name" -max_total_time="$1" -max_len=8192 -timeout=20 -verbosity=0 \
    -print_final_stats=1 "corpus-$name" 2>"$name.log") || {
    tail -n 30 "$out/$name.log"
    exit 1
  }
  echo "$name: $(grep number_of_executed_units "$out/$name.log" | tr -s ' ' | cut -d: -f2- ) executions, no fault"
done
