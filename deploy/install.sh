#!/usr/bin/env bash
# Installs what is missing, with apt. Does nothing on a machine that has it all.
. "$(dirname "$0")/settings.sh"

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
PATH=$PATH:/usr/sbin:/sbin
need etcd etcd-server
need etcdctl etcd-client
need protoc protobuf-compiler
need busybox busybox-static
need nft nftables
need ip iproute2
need cc gcc
need curl curl
need docker docker.io
if ! docker compose version >/dev/null 2>&1; then need docker-compose docker-compose; fi
[ -e /usr/include/google/protobuf/descriptor.proto ] || missing+=(libprotobuf-dev)

if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${missing[*]}"
  command -v apt-get >/dev/null || die "install these with your package manager: ${missing[*]}"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  log=$(mktemp)
  if ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    die "apt-get could not install ${missing[*]}; its output is in $log"
  fi
  rm -f "$log"
  # Debian starts an etcd of its own with the package; the cluster brings its own.
  if [[ " ${missing[*]} " == *" etcd-server "* ]] && command -v systemctl >/dev/null; then
    $sudo systemctl disable --now etcd >/dev/null 2>&1 || true
  fi
fi
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs"
docker info >/dev/null 2>&1 || die "the Docker daemon does not answer: is it running, and may $(id -un) use it?"
