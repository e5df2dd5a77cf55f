#!/usr/bin/env bash
# Verifies the models of the rings with spin: each holds in every interleaving, and fails with each
# of its mutations (a model that a broken ring satisfies shows nothing).
# usage: run.sh [MODEL...]     e.g. run.sh follow writers; all without
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What each model is run with, one search a line. Mutations run with the first.
searches() {
  case $1 in
  index) echo "-DELEMENTS=5 -DDEATHS=2" ;;
  follow)
    echo "-DRECORDS=5 -DDEATHS=1"
    echo "-DRECORDS=6 -DDEATHS=2"
    echo "-DRECORDS=5 -DDEATHS=2 -DLAG=2"
    ;;
  writers) echo "-DRECORDS=3 -DDEATHS=1" ;;
  request) echo "-DDEATHS=1" ;;
  esac
}

# Searches one model with these definitions; the verifier's words stand in $work/said. 0: no error in
# the whole state space; 1: an error; 2: neither, the search was cut short.
# Steps that `unless` may leave are never reduced by the verifier, so its reduction is safe here.
search() {
  local model=$1
  shift
  (cd "$work" && rm -f pan* && spin -a "$@" "$here/$model.pml" &&
    gcc -O1 -w -DSAFETY -DMEMLIM=1024 -o pan pan.c && ./pan -m100000) \
    >"$work/said" 2>&1 || true
  grep -q 'errors: [1-9]' "$work/said" && return 1
  grep -q 'errors: 0' "$work/said" || return 2
  grep -qE 'not completed|max search depth|memory bound|MEMLIM bound' "$work/said" && return 2
  return 0
}

failed=0
for model in ${*:-index follow writers request}; do
  while read -r definitions; do
    found=0
    # shellcheck disable=SC2086
    search "$model" $definitions || found=$?
    if [ $found -eq 0 ]; then
      echo "$model $definitions: holds in $(awk '/states, stored/ {print $1}' "$work/said") states"
    else
      echo "$model $definitions: FAILED ($([ $found -eq 1 ] && echo error || echo not searched whole))"
      cat "$work/said"
      failed=1
    fi
  done < <(searches "$model")
  definitions=$(searches "$model" | head -n 1)
  for mutation in $(grep -o 'MUTATE_[A-Z_]*' "$here/$model.pml" | sort -u); do
    found=0
    # shellcheck disable=SC2086
    search "$model" $definitions "-D$mutation" || found=$?
    if [ $found -eq 1 ]; then
      echo "$model, $mutation: found"
    else
      echo "$model, $mutation: NOT FOUND"
      [ $found -eq 0 ] || cat "$work/said"
      failed=1
    fi
  done
done
exit $failed
