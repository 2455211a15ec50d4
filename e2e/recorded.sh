#!/usr/bin/env bash
# Plays recorded requests against an API server of its own and compares the answers with those of the
# real Kubernetes: `e2e/recorded.sh FOLDER [CASE]`, where FOLDER holds oracle.py, cases/ and recorded/.
# Judged are the steps about kinds that exist here; e2e/recorded-later.txt names those that are left out.
set -euo pipefail
folder=$(realpath "$1")
only=${2:-}
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
python3 -c 'import yaml' 2>/dev/null || {
  echo "installing python3-yaml"
  apt-get install -y --no-install-recommends python3-yaml >/dev/null
}
cargo build --locked --workspace --bin kube-apiserver --bin ferrule-certificates
programs=$CARGO_TARGET_DIR/debug

work=$(mktemp -d)
started=()
finish() {
  for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap finish EXIT

"$programs/ferrule-certificates" --out "$work/pki" >/dev/null
# Ports that nobody listens on: the system gives them.
read -r api client peer < <(python3 - <<'PORTS'
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in held))
PORTS
)
etcd --data-dir "$work/etcd" --log-level error \
  --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
  --initial-cluster "default=http://127.0.0.1:$peer" --unsafe-no-fsync >"$work/etcd.log" 2>&1 &
started+=($!)
"$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$client" \
  --bind-address 127.0.0.1 --secure-port "$api" \
  --tls-cert-file "$work/pki/apiserver.crt" --tls-private-key-file "$work/pki/apiserver.key" \
  --client-ca-file "$work/pki/ca.crt" >"$work/apiserver.log" 2>&1 &
started+=($!)
deadline=$(($(date +%s) + 30))
until curl --silent --fail --cacert "$work/pki/ca.crt" "https://127.0.0.1:$api/readyz" >/dev/null; do
  if [ "$(date +%s)" -gt "$deadline" ]; then
    tail -5 "$work/etcd.log" "$work/apiserver.log" >&2
    echo "error: the API server is not ready" >&2
    exit 1
  fi
  sleep 0.2
done

for case in $(python3 e2e/recorded.py cases "$folder"); do
  case $case in *"$only"*) ;; *) continue ;; esac
  timeout 300 python3 "$folder/oracle.py" check --server "https://127.0.0.1:$api" \
    --cert "$work/pki/admin.crt" --key "$work/pki/admin.key" --ca "$work/pki/ca.crt" \
    --limit 4 "$folder/cases/$case.yaml" "$folder/recorded" >>"$work/played" 2>&1 || true
  echo "PLAYED $case" >>"$work/played"
done
python3 e2e/recorded.py judge "$folder" "$work/played" e2e/recorded-later.txt
