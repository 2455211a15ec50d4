#!/usr/bin/env bash
# Plays recorded requests against an API server of its own and compares the answers with those of the
# real Kubernetes: `e2e/recorded.sh FOLDER [CASE]`, where FOLDER holds oracle.py, cases/ and recorded/.
# e2e/recorded-later.txt names the steps that are not judged yet.
set -euo pipefail
folder=$(realpath "$1")
only=${2:-}
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
if [ -z "${FERRULE_PKI:-}" ]; then
  python3 -c 'import yaml' 2>/dev/null || {
    echo "installing python3-yaml"
    apt-get install -y --no-install-recommends python3-yaml >/dev/null
  }
  command -v openssl >/dev/null || apt-get install -y --no-install-recommends openssl >/dev/null
  cargo build --locked --workspace --bin kube-apiserver --bin ferrule-certificates --bin ferrule-processes
  exec "$CARGO_TARGET_DIR/debug/ferrule-processes" --api-server-only -- e2e/recorded.sh "$folder" "$only"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The answers were recorded for a user of this name and uid; the uid is an attribute that only Kubernetes knows.
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
  -config <(printf '%s\n' 'oid_section = oids' '[req]' 'distinguished_name = name' '[name]' \
    '[oids]' 'userUid = 1.3.6.1.4.1.57683.2') \
  -subj '/O=system:masters/CN=admin/userUid=admin-uid' -keyout "$work/admin.key" -out "$work/admin.csr" 2>/dev/null
openssl x509 -req -in "$work/admin.csr" -CA "$FERRULE_PKI/ca.crt" -CAkey "$FERRULE_PKI/ca.key" -set_serial 1 -days 1 \
  -extfile <(echo 'extendedKeyUsage = clientAuth') -out "$work/admin.crt" 2>/dev/null

for case in $(python3 e2e/recorded.py cases "$folder"); do
  case $case in *"$only"*) ;; *) continue ;; esac
  timeout 300 python3 "$folder/oracle.py" check --server "$FERRULE_SERVER" \
    --cert "$work/admin.crt" --key "$work/admin.key" --ca "$FERRULE_PKI/ca.crt" \
    --limit 4 "$folder/cases/$case.yaml" "$folder/recorded" >>"$work/played" 2>&1 || true
  echo "PLAYED $case" >>"$work/played"
done
python3 e2e/recorded.py judge "$folder" "$work/played" e2e/recorded-later.txt
