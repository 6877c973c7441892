#!/bin/bash
# A runtime as AWS's tutorial "Building a custom runtime" teaches it: the same steps, which start the same
# programs for every event, so two times curl, and mktemp, grep, tr, cut and echo in between.
set -euo pipefail

source "$LAMBDA_TASK_ROOT/$(echo "$_HANDLER" | cut -d. -f1).sh"
API=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation

while true; do
	fields=$(mktemp)
	event=$(curl -sS -LD "$fields" "$API/next")
	request_id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$fields" | tr -d '[:space:]' | cut -d: -f2)
	result=$($(echo "$_HANDLER" | cut -d. -f2) "$event")
	curl -sS "$API/$request_id/response" -d "$result"
done
