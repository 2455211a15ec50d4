#!/usr/bin/env bash
# Measures the REST front of an API server of its own, on an etcd of its own, and prints the figures.
# Wants a machine that does nothing else; takes two minutes after the build.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${FERRULE_PROFILE:-release}
cargo build --locked --profile "$profile" --workspace \
  --bin kube-apiserver --bin ferrule-certificates --bin ferrule-bench-rest
programs=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}

work=$(mktemp -d)
started=()
finish() {
  for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap finish EXIT
ulimit -n 16384

# Ports that nobody listens on: the system gives them.
read -r api client peer < <(python3 - <<'PORTS'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in held))
PORTS
)
"$programs/ferrule-certificates" --out "$work/pki" >/dev/null
etcd --data-dir "$work/etcd" --log-level error \
  --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
  --initial-cluster "default=http://127.0.0.1:$peer" >"$work/etcd.log" 2>&1 &
started+=($!)
"$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$client" \
  --bind-address 127.0.0.1 --secure-port "$api" \
  --tls-cert-file "$work/pki/apiserver.crt" --tls-private-key-file "$work/pki/apiserver.key" \
  --client-ca-file "$work/pki/ca.crt" >"$work/apiserver.log" 2>&1 &
server=$!
started+=("$server")
deadline=$(($(date +%s) + 30))
until curl --silent --fail --cacert "$work/pki/ca.crt" "https://127.0.0.1:$api/readyz" >/dev/null; do
  if [ "$(date +%s)" -gt "$deadline" ]; then
    tail -5 "$work/etcd.log" "$work/apiserver.log" >&2
    echo "error: the API server is not ready" >&2
    exit 1
  fi
  sleep 0.2
done
cat >"$work/kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
current-context: bench
contexts: [{name: bench, context: {cluster: bench, user: admin}}]
clusters:
- name: bench
  cluster: {server: "https://127.0.0.1:$api", certificate-authority: "$work/pki/ca.crt"}
users:
- name: admin
  user: {client-certificate: "$work/pki/admin.crt", client-key: "$work/pki/admin.key"}
CONFIG
"$programs/ferrule-bench-rest" "$work/kubeconfig" "$server"
