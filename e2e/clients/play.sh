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

# The kubectls to play: Debian's, and of those of 1.27 to 1.36 on PATH or beside one that is the newest; with
# FERRULE_CLIENTS_ALL each of them. Those with a version in their names come first: one without may only
# choose among them.
kubectls() {
  local found version newest=0 newest_found=
  local -A seen=()
  echo "$FERRULE_CLIENTS_KUBECTL"
  while IFS= read -r found; do
    version=$(kubectl_minor "$found") || continue
    if [ "$version" -lt 27 ] || [ "$version" -gt 36 ] || [ -n "${seen[$version]:-}" ]; then continue; fi
    seen[$version]=1
    if [ -n "${FERRULE_CLIENTS_ALL:-}" ]; then echo "$found"; fi
    if [ "$version" -gt "$newest" ]; then newest=$version newest_found=$found; fi
  done < <(named 'kubectl[.-]1.*' && named kubectl)
  if [ -z "${FERRULE_CLIENTS_ALL:-}" ] && [ -n "$newest_found" ]; then echo "$newest_found"; fi
}
named() { # PATTERN: the programs of this name
  local folder
  while IFS= read -r folder; do
    find -L "$folder" -maxdepth 1 -name "$1" -type f -executable 2>/dev/null | sort || true
  done < <(folders)
}
folders() {
  local found
  tr : '\n' <<<"$PATH"
  if found=$(type -P kubectl); then dirname "$(readlink -f "$found")"; fi
}
kubectl_minor() { "$1" version --client -o json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | grep .; }

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
    kubectl)
      programs=()
      while IFS= read -r program; do
        programs+=("$program")
        names+=("kubectl-1.$(kubectl_minor "$program")")
      done < <(kubectls)
      # In two lanes: each is a server's and a client's work at once.
      for lane in 0 1; do
        for ((i = lane; i < ${#programs[@]}; i += 2)); do
          run "kubectl-1.$(kubectl_minor "${programs[$i]}")" kubectl/everyday.sh "${programs[$i]}"
        done &
      done
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
