#!/usr/bin/env bash
# Measures clusters of its own and writes the figures into bench/README.md. Takes half an hour;
# wants a machine that does nothing else. `bench/run.sh PART...` measures only some (idle, pods, creates,
# scheduling, hollow) and only prints them. FERRULE_BENCH_MINUTES: how long the simulated nodes stay (10).
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/install.sh
cargo build --locked --release --workspace --bin ferrule-bench --bin ferrule-hollow-nodes
export FERRULE_ETCD_ALONE
FERRULE_ETCD_ALONE=$(cargo bench --locked --workspace --bench etcd_alone --no-run --message-format=json |
  grep -o '"executable":"[^"]*etcd_alone[^"]*"' | cut -d'"' -f4)
[ -x "$FERRULE_ETCD_ALONE" ] || { echo "error: the benchmark of etcd was not built" >&2; exit 1; }
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
"${CARGO_TARGET_DIR:-target}/release/ferrule-bench" "$figures" "$@"
if [ $# -gt 0 ]; then
  cat "$figures"
  exit
fi
sed -i '/^## Figures$/,$d' bench/README.md
{ printf '## Figures\n\n'; cat "$figures"; } >>bench/README.md
cat "$figures"
