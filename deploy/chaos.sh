#!/usr/bin/env bash
# Runs the chaos driver on a cluster of its own; docs/chaos.md says what it does.
#
# SEED    which schedule of faults                        (1)
# MINUTES how long faults are made                        (20)
# FERRULE_HA  0 for a control plane of one each           (1)
# ONLY    words that the names of the faults must contain ()
# REPORT  a file for the tables, as markdown              ($FERRULE_STATE/../ferrule-chaos-<SEED>.md)
# FERRULE_KEEP  1 to leave the cluster running at the end
: "${FERRULE_STATE:=/var/tmp/ferrule-chaos}" "${COMPOSE_PROJECT_NAME:=ferrule-chaos}"
: "${FERRULE_NET:=172.31.250}" "${FERRULE_API_PORT:=28443}" "${FERRULE_HA=1}"
export FERRULE_STATE COMPOSE_PROJECT_NAME FERRULE_NET FERRULE_API_PORT FERRULE_HA
. "$(dirname "$0")/settings.sh"
export SEED=${SEED:-1} MINUTES=${MINUTES:-20}
export REPORT=${REPORT:-$(dirname "$FERRULE_STATE")/ferrule-chaos-$SEED.md}
export FERRULE_ALSO_BUILD=e2e
say "building the driver and the programs ($FERRULE_PROFILE)"
"$root/deploy/build.sh"
only=()
[ -z "${ONLY:-}" ] || only=(--only "$ONLY")
exec "$binaries/ferrule-chaos" --seed "$SEED" --minutes "$MINUTES" --report "$REPORT" ${only[@]+"${only[@]}"}
