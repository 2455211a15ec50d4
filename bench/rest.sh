#!/usr/bin/env bash
# Measures the REST front of an API server of its own, on an etcd of its own, and prints the figures.
# Wants a machine that does nothing else; takes two minutes after the build.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${FERRULE_PROFILE:-release}
cargo build --locked --profile "$profile" --workspace \
  --bin kube-apiserver --bin ferrule-certificates --bin ferrule-processes --bin ferrule-bench-rest
programs=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}
ulimit -n 16384
# shellcheck disable=SC2016 # the inner shell knows the variables
"$programs/ferrule-processes" --api-server-only --durable -- \
  bash -c 'exec "$0" "$KUBECONFIG" "$FERRULE_API_SERVER_PID"' "$programs/ferrule-bench-rest"
