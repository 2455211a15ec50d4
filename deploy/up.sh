#!/usr/bin/env bash
# Starts a cluster, or brings a running one up to date. May be run again at any time.
. "$(dirname "$0")/settings.sh"
started=$(date +%s)
mkdir -p "$FERRULE_STATE"

[ "${shape:-$wanted_shape}" = "$wanted_shape" ] ||
  die "the cluster $COMPOSE_PROJECT_NAME has the shape $shape, which cannot change: 'make down' first"

"$root/deploy/install.sh"
say "building the programs ($FERRULE_PROFILE)"
"$root/deploy/build.sh"
say "making the images"
"$root/deploy/images.sh"

say "making the certificates"
wanted=(--out "$FERRULE_STATE/pki" --apiserver-name "$FERRULE_NET.3" --etcd-name "$FERRULE_NET.2")
control_plane="etcd apiserver scheduler controller-manager"
if [ "$wanted_shape" = high-availability ]; then
  control_plane="etcd etcd2 etcd3 apiserver apiserver2 scheduler scheduler2 controller-manager controller-manager2"
  wanted+=(--internal-server "https://apiserver:6443,https://apiserver2:6443"
    --external-server "https://127.0.0.1:$FERRULE_API_PORT,https://127.0.0.1:$FERRULE_API_PORT_2"
    --member "etcd2=$FERRULE_NET.6" --member "etcd3=$FERRULE_NET.7" --member "apiserver2=$FERRULE_NET.8"
    --member "scheduler2=$FERRULE_NET.9" --member "controller-manager2=$FERRULE_NET.10")
else
  wanted+=(--external-server "https://127.0.0.1:$FERRULE_API_PORT")
fi
echo "$wanted_shape" >"$FERRULE_STATE/shape"
for node in $nodes; do wanted+=(--node "$node=$(node_address "$node")"); done
"$binaries/ferrule-certificates" "${wanted[@]}" >"$FERRULE_STATE/certificates.log"
ln -sf pki/kubeconfig "$FERRULE_STATE/kubeconfig"

{
  echo "# Node ports that also answer on 127.0.0.1; written by deploy/up.sh."
  if [ -n "$FERRULE_NODE_PORTS" ]; then
    printf 'services:\n  node1:\n    ports:\n'
    for port in $FERRULE_NODE_PORTS; do printf '      - "127.0.0.1:%s:%s"\n' "$port" "$port"; done
  else
    echo "{}"
  fi
} >"$FERRULE_STATE/ports.yaml.new"
mv "$FERRULE_STATE/ports.yaml.new" "$FERRULE_STATE/ports.yaml"
[ -n "$FERRULE_NODE_PORTS" ] || rm -f "$FERRULE_STATE/ports.yaml"

say "starting the containers"
log=$FERRULE_STATE/compose.log
if ! compose up -d --remove-orphans >"$log" 2>&1; then
  tail -20 "$log" >&2
  die "compose could not start the cluster; its output is in $log"
fi

prune_images

say "waiting for the nodes"
kubectl=("$binaries/kubectl" --kubeconfig "$FERRULE_STATE/kubeconfig")
deadline=$(($(date +%s) + ${FERRULE_TIMEOUT:-120}))
want=$(wc -w <<<"$nodes")
while :; do
  table=$("${kubectl[@]}" get nodes --no-headers 2>&1 || true)
  ready=$(grep -cE '^[^ ]+ +Ready' <<<"$table" || true)
  [ "$ready" -ge "$want" ] && break
  if [ "$(date +%s)" -gt "$deadline" ]; then
    printf '%s\n' "$table" >&2
    for service in $control_plane $nodes; do
      printf -- '--- %s\n' "$service" >&2
      compose logs --no-color --tail 8 "$service" >&2 2>&1 || true
    done
    die "$ready of $want nodes are Ready after ${FERRULE_TIMEOUT:-120} s; the logs above say why. 'make down' starts afresh."
  fi
  sleep 0.5
done
"${kubectl[@]}" apply -f "$root/deploy/manifests" >/dev/null || die "the API server refused deploy/manifests"
"${kubectl[@]}" get nodes
say "the cluster is ready after $(($(date +%s) - started)) s"
[ "${FERRULE_QUIET:-}" ] && exit 0
cat <<HELP

Type next:

  export KUBECONFIG=$FERRULE_STATE/kubeconfig
  export PATH=$binaries:\$PATH        # our kubectl; upstream's works as well

  kubectl create deployment np-pods --image=sysnet4admin/echo-hname
  kubectl expose deployment np-pods --type=NodePort --port=80
  kubectl get pods,services -o wide

Node ports answer on every node ($(for node in $nodes; do printf '%s ' "$(node_address "$node")"; done)); these also on 127.0.0.1: $FERRULE_NODE_PORTS
'make down' removes everything again.
HELP
