#!/usr/bin/env bash
# The pages in a real browser, in both languages: an empty centre, an event that shows within a second, one contact as it
# goes on, a thousand queues, the loss and return of the server, SQL, and faults that axe finds.
#
#   pages.sh CALLPULSE [DIR]     DIR gets the screenshots
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -ge 1 ] || fail "usage: pages.sh CALLPULSE [DIR]"
callpulse=$(realpath "$1")
modules=${PAGES_MODULES:-$HOME/.cache/callpulse/pages/node_modules}

for tool in node chromium kcat; do
    command -v "$tool" > /dev/null || { echo "pages: ignored (\`$tool\` is missing)"; exit 0; }
done
for package in playwright-core axe-core; do
    [ -d "$modules/$package" ] || { echo "pages: ignored (\`$package\` is missing under $modules)"; exit 0; }
done

work=$(mktemp -d)
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 8 "$work"/*.log >&2 || true
    rm -rf "$work"
}
trap clean EXIT
[ -z "${2:-}" ] || mkdir -p "$2"
PAGES_MODULES=$modules node "$here/pages.mjs" "$callpulse" "$work" ${2:+"$(realpath "$2")"}
