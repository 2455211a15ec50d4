#!/usr/bin/env bash
# Puts the driver's kinds of faults, and reports of runs, into docs/chaos.md: chaos-docs.sh REPORT...
. "$(dirname "$0")/settings.sh"
[ $# -gt 0 ] || die "say which: make chaos-docs REPORTS=\"/var/tmp/ferrule-chaos-1.md ...\""
for report in "$@"; do [ -s "$report" ] || die "there is no report $report"; done
kinds=$(mktemp)
trap 'rm -f "$kinds"' EXIT
"$binaries/ferrule-chaos" --kinds >"$kinds"

# between MARK FILE...: the files in place of what stands between the two marks.
between() {
  local mark=$1
  shift
  sed -n "1,/^<!-- $mark -->/p" docs/chaos.md
  for file in "$@"; do
    cat "$file"
    echo
  done
  sed -n "/^<!-- \/$mark -->/,\$p" docs/chaos.md
}
between kinds "$kinds" >docs/chaos.md.new
mv docs/chaos.md.new docs/chaos.md
between runs "$@" >docs/chaos.md.new
mv docs/chaos.md.new docs/chaos.md
