#!/usr/bin/env bash
# Plays clients against the API server of KUBECONFIG, all at once; `run.sh` prepares and calls it.
set -euo pipefail
cd "$(dirname "$0")"
: "${KUBECONFIG:?names the cluster}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each takes a fraction of this; more only when the machine has much else to do.
within=900
run() { # NAME COMMAND...: its output in a file, its exit code in another
  local name=$1 code=0 began
  shift
  began=$(date +%s)
  timeout "$within" "$@" >"$work/$name" 2>&1 || code=$?
  [ $code -ne 124 ] || echo "error: not done within $within s" >>"$work/$name"
  echo "    $name took $(($(date +%s) - began)) s" >>"$work/$name"
  echo $code >"$work/$name.code"
}

names=()
for client in "$@"; do
  case $client in
    python)
      names+=(python)
      run python "$FERRULE_CLIENTS_PYTHON" -B -m unittest discover --start-directory python --buffer &
      ;;
    kube-rs)
      names+=(kube-rs)
      run kube-rs "$FERRULE_CLIENTS_KUBE_RS" &
      ;;
  esac
done
wait

failed=()
for name in "${names[@]}"; do
  printf '==> %s\n' "$name"
  cat "$work/$name"
  [ "$(cat "$work/$name.code")" = 0 ] || failed+=("$name")
done
[ ${#failed[@]} -eq 0 ] || {
  printf 'error: failed: %s\n' "${failed[*]}" >&2
  exit 1
}
