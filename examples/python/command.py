#!/usr/bin/env python3
# bootstrap command ./command.py
import json
import sys

event = json.load(sys.stdin)
print("an event of", len(event), "members", file=sys.stderr)
print(json.dumps({"greeting": f"Hello, {event['name']}!"}))
