#!/usr/bin/env bash
# Other people's clients against our control plane, each used as its own examples use it:
# `e2e/clients/run.sh [CLIENT...]`, where CLIENT is one of kube-rs (all).
#
# The control plane is processes of this machine (`ferrule-processes`).
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(kube-rs)

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
for client in "${clients[@]}"; do
  case $client in kube-rs) ;; *) die "there is no client $client: kube-rs" ;; esac
done
cargo build --locked --workspace --bin kube-apiserver --bin kube-scheduler --bin kube-controller-manager \
  --bin kubelet --bin cri-runtime --bin kubectl --bin ferrule-certificates --bin ferrule-processes --bin ferrule-kube-rs
export FERRULE_CLIENTS_KUBE_RS=$CARGO_TARGET_DIR/debug/ferrule-kube-rs
"$CARGO_TARGET_DIR/debug/ferrule-processes" --nodes 2 -- e2e/clients/play.sh "${clients[@]}"
