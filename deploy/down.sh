#!/usr/bin/env bash
# Removes everything that up.sh made: containers, volumes, networks, images, certificates.
. "$(dirname "$0")/settings.sh"
say "removing the cluster $COMPOSE_PROJECT_NAME"
log=$(mktemp)
if ! compose down --volumes --remove-orphans --timeout 3 >"$log" 2>&1; then
  cat "$log" >&2
  die "compose could not remove the cluster"
fi
rm -f "$log"
for image in "$made_control_plane" "$made_node" "$made_etcd"; do
  docker rmi "$image" >/dev/null 2>&1 || true
done
prune_images
rm -rf "$FERRULE_STATE"
