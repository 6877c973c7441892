#!/bin/bash
# A runtime as SCF's guide "Custom Runtime" teaches it: two times curl for every event, and a file for its headers.
set -euo pipefail

API=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime

curl -sS -X POST -d ' ' "$API/init/ready" > /dev/null
while true; do
	fields=$(mktemp)
	event=$(curl -sS -LD "$fields" "$API/invocation/next")
	rm "$fields"
	curl -sS -X POST -d "$event" "$API/invocation/response" > /dev/null
done
