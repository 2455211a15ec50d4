#!/usr/bin/env bash
# Fuzzes every parser that sees bytes from outside: e2e/fuzz/run.sh [MINUTES [TARGET...]]
#
# Builds the targets with coverage for libFuzzer, which the stable compiler can do (a C++ compiler is needed
# besides), and runs each for MINUTES (3), one after the other. FERRULE_FUZZ (/var/tmp/ferrule-fuzz) keeps
# corpora for the next time, and in `found` the inputs that broke something: give such a file to the
# target's program to see it again. The end is a table, as docs/testing.md has it, and 1 when something was found.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
minutes=${1:-3}
[ $# -eq 0 ] || shift
work=${FERRULE_FUZZ:-/var/tmp/ferrule-fuzz}
oracle=$(realpath -m ../../../shared/oracle)
target=${CARGO_TARGET_DIR:-$here/target}
machine=$(rustc -vV | sed -n 's/^host: //p')
../../deploy/install.sh g++

# Only what may be ours to mend is watched, so that the rest is built and run as fast as ever.
RUSTC_WRAPPER=$here/rustc.sh cargo build --locked --profile fuzz --target "$machine"
programs=$target/$machine/fuzz
mkdir -p "$work"/{corpus,found,logs,seeds}
rm -rf "$work/seeds"
[ -d "$oracle/cases" ] || oracle=
FERRULE_FUZZ_SEEDS=$work/seeds FERRULE_FUZZ_ORACLE=$oracle "$programs/seeds"
status=0

# Large objects: what grows with the square of a list.
[ $# -gt 0 ] || "$programs/sizes" || status=1

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(basename -s .rs fuzz_targets/*.rs)

# An archive that got out of its folder would find nothing to change: the machine's files are read-only.
confined() {
  if [ "$(id -u)" -eq 0 ]; then
    unshare --mount -- sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && exec "$@"' sh "$work" "$@"
  else
    "$@"
  fi
}

# A thread of a server has this stack, not the larger one of a program's first.
ulimit -s 2048
export RUST_BACKTRACE=1
table=$work/table.md
printf '| target | inputs | a second | seconds | kept | most memory | slowest | found |\n|---|--:|--:|--:|--:|--:|--:|---|\n' >"$table"
for name in "${targets[@]}"; do
  mkdir -p "$work"/{corpus,found,seeds}/"$name"
  log=$work/logs/$name.log
  before=$(ls "$work/found/$name" | wc -l)
  started=$(date +%s)
  confined "$programs/$name" "$work/corpus/$name" "$work/seeds/$name" \
    -max_total_time=$((minutes * 60)) -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -dict="$work/seeds/dictionary" -artifact_prefix="$work/found/$name/" -print_final_stats=1 >"$log" 2>&1 || status=1
  took=$(($(date +%s) - started))
  stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -n 1; }
  found=$(($(ls "$work/found/$name" | wc -l) - before))
  runs=$(stat number_of_executed_units)
  printf '| `%s` | %s | %s | %s | %s | %s MiB | %s s | %s |\n' "$name" "$runs" "$((${runs:-0} / (took > 0 ? took : 1)))" "$took" \
    "$(ls "$work/corpus/$name" | wc -l)" "$(stat peak_rss_mb)" "$(stat slowest_unit_time_sec)" "$found" | tee -a "$table"
  [ "$found" -eq 0 ] || grep -m 3 -A 2 -E 'panicked at|ERROR: libFuzzer' "$log" || true
done
exit $status
