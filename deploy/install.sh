#!/usr/bin/env bash
# Installs what is missing, with apt. Does nothing on a machine that has it all.
# `deploy/install.sh PROGRAM...` also installs these, each from the package of its name.
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
for program in "$@"; do need "$program" "$program"; done
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
  # Debian starts servers with their packages; the cluster and the tests bring their own.
  for service in "etcd-server etcd" "docker-registry docker-registry"; do
    if [[ " ${missing[*]} " == *" ${service% *} "* ]] && command -v systemctl >/dev/null; then
      $sudo systemctl disable --now "${service#* }" >/dev/null 2>&1 || true
    fi
  done
fi
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs"
docker info >/dev/null 2>&1 || die "the Docker daemon does not answer: is it running, and may $(id -un) use it?"
