#!/bin/bash
# bootstrap command ./command.sh
set -euo pipefail

event=$(cat)
echo "an event of ${#event} bytes" >&2
[ -n "$event" ] || { echo "NoEvent: there is nothing to answer" >&2; exit 1; }
printf '{"hello":"bash","event":%s}' "$event"
