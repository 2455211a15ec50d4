# Settings that every script of this folder shares; sourced, not run.
#
# FERRULE_STATE   folder of certificates, kubeconfig and image archives   (.run)
# FERRULE_PROFILE cargo profile of the binaries: release, or dev          (release)
# FERRULE_NET     first three bytes of the cluster's network              (172.30.0)
# FERRULE_API_PORT    port of the API server on 127.0.0.1                 (6443)
# FERRULE_HA      1: three etcd, two of each other control plane program  (empty)
# FERRULE_API_PORT_2  port of the second API server then                  (FERRULE_API_PORT + 100)
# FERRULE_NODE_PORTS  node ports that also answer on 127.0.0.1            (30000 30001 30080 30100 30101)
# FERRULE_NETWORK_BACKEND  how pods reach those of other nodes: host-gw, or vxlan  (host-gw)
# COMPOSE_PROJECT_NAME                                                    (ferrule)
# FERRULE_CONTROL_PLANE_IMAGE, FERRULE_NODE_IMAGE, FERRULE_ETCD_IMAGE
#     images to use in place of those that are made here

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

export FERRULE_STATE=${FERRULE_STATE:-$root/.run}
export FERRULE_PROFILE=${FERRULE_PROFILE:-release}
export FERRULE_NET=${FERRULE_NET:-172.30.0}
export FERRULE_API_PORT=${FERRULE_API_PORT:-6443}
export FERRULE_API_PORT_2=${FERRULE_API_PORT_2:-$((FERRULE_API_PORT + 100))}
# A cluster that is there keeps its shape: `make down` needs to know it, too.
shape=$(cat "$FERRULE_STATE/shape" 2>/dev/null || true)
case ${FERRULE_HA:-} in
  '' | 0) wanted_shape=${shape:-single} ;;
  *) wanted_shape=high-availability ;;
esac
export FERRULE_NODE_PORTS=${FERRULE_NODE_PORTS-30000 30001 30080 30100 30101}
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-ferrule}
tag=$COMPOSE_PROJECT_NAME
made_control_plane=ferrule/control-plane:$tag
made_node=ferrule/node:$tag
made_etcd=ferrule/etcd:$tag
export FERRULE_CONTROL_PLANE_IMAGE=${FERRULE_CONTROL_PLANE_IMAGE:-$made_control_plane}
export FERRULE_NODE_IMAGE=${FERRULE_NODE_IMAGE:-$made_node}
export FERRULE_ETCD_IMAGE=${FERRULE_ETCD_IMAGE:-$made_etcd}

nodes="node1 node2 node3"
target=${CARGO_TARGET_DIR:-$root/target}
case $FERRULE_PROFILE in
  dev) binaries=$target/debug ;;
  *) binaries=$target/$FERRULE_PROFILE ;;
esac

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

node_address() {
  case $1 in
    node1) echo "$FERRULE_NET.11" ;;
    node2) echo "$FERRULE_NET.12" ;;
    node3) echo "$FERRULE_NET.13" ;;
  esac
}

compose() {
  local files=(-f "$root/docker-compose.yml")
  [ "$wanted_shape" = high-availability ] && files+=(-f "$root/deploy/high-availability.yaml")
  [ -f "$FERRULE_STATE/ports.yaml" ] && files+=(-f "$FERRULE_STATE/ports.yaml")
  if docker compose version >/dev/null 2>&1; then
    docker compose --project-directory "$root" "${files[@]}" "$@"
  else
    docker-compose --project-directory "$root" "${files[@]}" "$@"
  fi
}

# Removes what was built before and has lost its name to a newer image.
prune_images() {
  docker image prune --force --filter "label=ferrule.project=$tag" >/dev/null 2>&1 || true
}
