#!/usr/bin/env bash
# Builds every program of the cluster with the chosen profile, and the packages of FERRULE_ALSO_BUILD:
# in one build, since another choice of packages would build what they share with other features.
. "$(dirname "$0")/settings.sh"
packages=()
for package in apiserver scheduler controller-manager kubelet kube-proxy kubectl cri-runtime network dns deploy ${FERRULE_ALSO_BUILD:-}; do
  packages+=(-p "ferrule-$package")
done
cargo build --locked --profile "$FERRULE_PROFILE" --bins "${packages[@]}"
