#!/usr/bin/env bash
# Every check and test of the project; `e2e/run.sh PART...` runs only some.
#
# PART is one of install, format, lint, docs, test, api, cli, clients, cluster, ha. A part that fails does not stop
# the next one: the end says which did. Words after `--` choose among the tests of api, cli, cluster and ha, or the
# clients.
set -uo pipefail
cd "$(dirname "$0")/.."
# One profile for all, and caches outside a clone that is thrown away.
if [ -n "${CI:-}" ]; then export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-/var/tmp/ferrule-ci/target}; fi
export FERRULE_PROFILE=dev
PATH=$PATH:/usr/sbin:/sbin

parts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do parts+=("$1"); shift; done
[ $# -eq 0 ] || shift
chosen=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(install format lint docs test api cli clients cluster ha)

install() { deploy/install.sh docker-registry; }
format() { cargo fmt --all --check; }
# The cluster's tests are no default target, so that `cargo test` needs no cluster: named apart.
# `--workspace` keeps the features of dependencies, and so what is built of them, the same.
lint() {
  cargo clippy --locked --workspace --all-targets -- -D warnings &&
    cargo clippy --locked --workspace --test api --test cli --test cluster --test high-availability -- -D warnings &&
    python3 apiserver/data/descriptions.py --check
}
docs() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet; }
test() { cargo test --locked --workspace --no-fail-fast; }
# Programs of this machine, without containers.
api() {
  cargo build --locked --workspace --bin kube-apiserver --bin kube-scheduler --bin kube-controller-manager \
    --bin ferrule-certificates &&
    cargo test --locked --workspace --test api -- ${chosen[@]+"${chosen[@]}"}
}
# Other people's clients, against a control plane of processes.
clients() { e2e/clients/run.sh ${chosen[@]+"${chosen[@]}"}; }
# A cluster of processes, without containers.
cli() {
  cargo build --locked --workspace --bin kube-apiserver --bin kube-scheduler --bin kube-controller-manager \
    --bin kubelet --bin cri-runtime --bin kubectl --bin ferrule-certificates &&
    cargo test --locked --workspace --test cli -- ${chosen[@]+"${chosen[@]}"}
}
cluster() { cargo test --locked --workspace --test cluster -- ${chosen[@]+"${chosen[@]}"}; }
# A control plane of several members; a cluster of its own after the other.
ha() { cargo test --locked --workspace --test high-availability -- ${chosen[@]+"${chosen[@]}"}; }

results=$(mktemp)
trap 'rm -f "$results"' EXIT
failed=()
for part in "${parts[@]}"; do
  printf '\033[1m==>\033[0m %s\n' "$part"
  started=$(date +%s)
  "$part" 2>&1 | tee -a "$results"
  if [ "${PIPESTATUS[0]}" -ne 0 ]; then failed+=("$part"); fi
  printf '    %s took %s s\n' "$part" "$(($(date +%s) - started))"
done

[ ${#failed[@]} -eq 0 ] || printf 'error: failed: %s\n' "${failed[*]}" >&2
awk '/^test result:/ { for (i = 2; i <= NF; i++) { if ($i == "passed;") passed += $(i-1); if ($i == "failed;") lost += $(i-1) } }
  END { printf "%d passed, %d failed\n", passed, lost }' "$results"
[ ${#failed[@]} -eq 0 ]
