#!/usr/bin/env bash
# Other people's clients against our control plane, each used as its own examples use it:
# `e2e/clients/run.sh [CLIENT...]`, where CLIENT is one of python, kube-rs, kubectl (all).
#
# The control plane is processes of this machine (`ferrule-processes`). What the clients need is fetched
# into the target folder; nothing is installed over what the machine has, but for Python's venv module.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
kept=$CARGO_TARGET_DIR/clients
mkdir -p "$kept"
clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(python kube-rs kubectl)

say() { printf '==> %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
wants() { [[ " ${clients[*]} " == *" $1 "* ]]; }
for client in "${clients[@]}"; do
  case $client in python | kube-rs | kubectl) ;; *) die "there is no client $client: python, kube-rs, kubectl" ;; esac
done
apt() { # WORDS...: apt-get, its output shown only when it fails
  local sudo= log
  [ "$(id -u)" = 0 ] || sudo=sudo
  log=$(mktemp)
  if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1; then
    tail -20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# The Python client in an environment of its own, made anew when the list of versions changes.
python=$kept/python-$(sha256sum e2e/clients/python/requirements.txt | cut -c1-12)
prepare_python() {
  [ -e "$python/complete" ] && return
  say "fetching the Python client"
  python3 -c 'import ensurepip, venv' 2>/dev/null || { apt update && apt install -y --no-install-recommends python3-venv; } ||
    die "Python's venv module is missing"
  rm -rf "$kept"/python-*
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    -r e2e/clients/python/requirements.txt || die "pip could not install the client"
  touch "$python/complete"
}

# Debian's kubectl, unpacked beside whatever the machine has under that name.
debian=$kept/kubernetes-client
prepare_kubectl() {
  [ -x "$debian/usr/bin/kubectl" ] && return
  say "fetching Debian's kubernetes-client"
  local download
  download=$(mktemp -d)
  chmod 755 "$download"
  (cd "$download" && { apt download kubernetes-client || { apt update && apt download kubernetes-client; }; }) ||
    die "apt-get could not download kubernetes-client"
  rm -rf "$debian"
  dpkg -x "$download"/kubernetes-client_*.deb "$debian"
  rm -rf "$download"
}

cargo build --locked --workspace --bin kube-apiserver --bin kube-scheduler --bin kube-controller-manager \
  --bin kubelet --bin cri-runtime --bin kubectl --bin ferrule-certificates --bin ferrule-processes --bin ferrule-kube-rs
if wants python; then prepare_python; fi
if wants kubectl; then prepare_kubectl; fi
export FERRULE_CLIENTS_PYTHON=$python/bin/python
export FERRULE_CLIENTS_KUBE_RS=$CARGO_TARGET_DIR/debug/ferrule-kube-rs
export FERRULE_CLIENTS_KUBECTL=$debian/usr/bin/kubectl
"$CARGO_TARGET_DIR/debug/ferrule-processes" --nodes 2 -- e2e/clients/play.sh "${clients[@]}"
