#!/usr/bin/env bash
# Puts a local Docker image, or an archive of one, into the image store of every node.
. "$(dirname "$0")/settings.sh"
image=${1:-}
[ -n "$image" ] || die "say which: make load-image IMAGE=name (a local Docker image, or an archive)"
if [ -f "$image" ]; then
  source=(cat "$image")
else
  docker image inspect "$image" >/dev/null 2>&1 || die "there is no local Docker image and no file named $image"
  source=(docker save "$image")
fi
for node in $nodes; do
  container=$(compose ps -q "$node")
  [ -n "$container" ] || die "$node is not running: 'make up' first"
  "${source[@]}" | docker exec -i "$container" cri-runtime image import - || die "$node did not take the image"
  echo "$node has $image"
done
