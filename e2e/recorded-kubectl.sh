#!/usr/bin/env bash
# Plays recorded kubectl scripts against a small cluster of its own, with our kubectl or the one that
# FERRULE_KUBECTL names, and compares what is printed with what the real kubectl printed:
# `e2e/recorded-kubectl.sh FOLDER [CASE]`, where FOLDER holds oracle.py and kubectl/.
#
# The cluster is processes of this machine on 127.0.0.1: etcd, the control plane, and two kubelets over
# a runtime that pretends. e2e/recorded-kubectl-later.txt names the commands that are not judged; of another
# kubectl than ours also those of e2e/recorded-kubectl-older.txt, which older versions print otherwise.
set -euo pipefail
folder=$(realpath "$1")
only=${2:-}
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
if [ -z "${FERRULE_PKI:-}" ]; then
  python3 -c 'import yaml' 2>/dev/null || {
    echo "installing python3-yaml"
    apt-get install -y --no-install-recommends python3-yaml >/dev/null
  }
  cargo build --locked --workspace --bin kube-apiserver --bin kube-scheduler --bin kube-controller-manager \
    --bin kubelet --bin cri-runtime --bin kubectl --bin ferrule-certificates --bin ferrule-processes
  exec "$CARGO_TARGET_DIR/debug/ferrule-processes" --nodes 2 -- e2e/recorded-kubectl.sh "$folder" "$only"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The scripts call it by this name, whatever the file is called.
mkdir "$work/bin"
ln -s "$(realpath "${FERRULE_KUBECTL:-$CARGO_TARGET_DIR/debug/kubectl}")" "$work/bin/kubectl"
later=(e2e/recorded-kubectl-later.txt)
[ -z "${FERRULE_KUBECTL:-}" ] || later+=(e2e/recorded-kubectl-older.txt)

for path in "$folder"/kubectl/cases/*.txt; do
  case=$(basename "$path" .txt)
  case $case in *"$only"*) ;; *) continue ;; esac
  if grep -qx "$case: \*" "${later[@]}"; then continue; fi
  timeout 300 python3 "$folder/oracle.py" check --server "$FERRULE_SERVER" \
    --cert "$FERRULE_PKI/admin.crt" --key "$FERRULE_PKI/admin.key" --ca "$FERRULE_PKI/ca.crt" \
    --kubectl "$work/bin/kubectl" --limit 4 "$path" "$folder/kubectl/recorded" >>"$work/played" 2>&1 || true
  echo "PLAYED $case" >>"$work/played"
done
python3 e2e/recorded.py judge-kubectl "$folder" "$work/played" "${later[@]}"
