#!/usr/bin/env bash
# Plays recorded kubectl scripts against a small cluster of its own, with our kubectl or the one that
# FERRULE_KUBECTL names, and compares what is printed with what the real kubectl printed:
# `e2e/recorded-kubectl.sh FOLDER [CASE]`, where FOLDER holds oracle.py and kubectl/.
#
# The cluster is processes of this machine on 127.0.0.1: etcd, the control plane, and two kubelets over
# a runtime that pretends. e2e/recorded-kubectl-later.txt names the commands that are not judged.
set -euo pipefail
folder=$(realpath "$1")
only=${2:-}
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
python3 -c 'import yaml' 2>/dev/null || {
  echo "installing python3-yaml"
  apt-get install -y --no-install-recommends python3-yaml >/dev/null
}
cargo build --locked --workspace --bin kube-apiserver --bin kube-scheduler --bin kube-controller-manager \
  --bin kubelet --bin cri-runtime --bin kubectl --bin ferrule-certificates
programs=$CARGO_TARGET_DIR/debug
kubectl=${FERRULE_KUBECTL:-$programs/kubectl}

work=$(mktemp -d)
started=()
finish() {
  # The youngest first, so that nobody misses those that it depends on.
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill "${started[$i]}" 2>/dev/null || true; done
  wait
  # What pods have mounted goes with them; a pod that was not ended keeps its volumes.
  awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mount; do umount -l "$mount" || true; done
  [ -n "${FERRULE_KEEP_LOGS:-}" ] && cp "$work"/*.log "$FERRULE_KEEP_LOGS"/
  rm -rf "$work"
}
trap finish EXIT
run() { # NAME COMMAND...: starts a program, whose output goes into a file
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  started+=($!)
}
until_or_die() { # SECONDS WHAT COMMAND...
  local deadline=$(($(date +%s) + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$(date +%s)" -gt "$deadline" ]; then
      tail -n 5 "$work"/*.log >&2
      echo "error: $what" >&2
      exit 1
    fi
    sleep 0.3
  done
}

# Ports that nobody listens on: the system gives them.
read -r api client peer scheduler manager first second < <(python3 - <<'PORTS'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(7)]
print(*(s.getsockname()[1] for s in held))
PORTS
)
pki=$work/pki
server=https://127.0.0.1:$api
"$programs/ferrule-certificates" --out "$pki" --internal-server "$server" --external-server "$server" \
  --node recorded-0=127.0.0.1 --node recorded-1=127.0.0.1 >/dev/null
tls() { printf -- '--tls-cert-file=%s.crt --tls-private-key-file=%s.key --client-ca-file=%s/ca.crt' "$pki/$1" "$pki/$1" "$pki"; }

run etcd etcd --data-dir "$work/etcd" --log-level error \
  --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
  --initial-cluster "default=http://127.0.0.1:$peer" --unsafe-no-fsync
# shellcheck disable=SC2046 # words are wanted
run apiserver "$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$client" \
  --bind-address 127.0.0.1 --secure-port "$api" --service-cluster-ip-range 10.96.0.0/16 $(tls apiserver)
until_or_die 30 "the API server is not ready" curl --silent --fail --cacert "$pki/ca.crt" "$server/readyz"
# shellcheck disable=SC2046
run scheduler "$programs/kube-scheduler" --bind-address 127.0.0.1 --secure-port "$scheduler" \
  --kubeconfig "$pki/scheduler.kubeconfig" $(tls scheduler)
# shellcheck disable=SC2046
run controller-manager "$programs/kube-controller-manager" --bind-address 127.0.0.1 --secure-port "$manager" \
  --kubeconfig "$pki/controller-manager.kubeconfig" --cluster-cidr 10.244.0.0/16 $(tls controller-manager)
run cri-runtime "$programs/cri-runtime" --simulated --simulated-nodes=2 --listen="$work/cri.sock"
until_or_die 30 "the runtime is not there" test -S "$work/cri-1.sock"
number=0
for port in "$first" "$second"; do
  node=recorded-$number
  # shellcheck disable=SC2046
  run "$node" "$programs/kubelet" --hostname-override="$node" --node-ip=127.0.0.1 --bind-address=127.0.0.1 \
    --secure-port="$port" --kubeconfig="$pki/kubelet-$node.kubeconfig" $(tls "kubelet-$node") \
    --container-runtime-endpoint="unix://$work/cri-$number.sock" --root-dir="$work/$node" \
    --pod-logs-dir="$work/$node/logs" --cgroups-per-qos=false
  number=$((number + 1))
done
ready() { [ "$("$programs/kubectl" --kubeconfig "$pki/kubeconfig" get nodes --no-headers | grep -c ' Ready ')" = 2 ]; }
until_or_die 60 "the nodes are not Ready" ready

later=e2e/recorded-kubectl-later.txt
for path in "$folder"/kubectl/cases/*.txt; do
  case=$(basename "$path" .txt)
  case $case in *"$only"*) ;; *) continue ;; esac
  if grep -qx "$case: \*" "$later"; then continue; fi
  timeout 300 python3 "$folder/oracle.py" check --server "$server" \
    --cert "$pki/admin.crt" --key "$pki/admin.key" --ca "$pki/ca.crt" --kubectl "$kubectl" --limit 4 \
    "$path" "$folder/kubectl/recorded" >>"$work/played" 2>&1 || true
  echo "PLAYED $case" >>"$work/played"
done
python3 e2e/recorded.py judge-kubectl "$folder" "$work/played" "$later"
