# bootstrap function index.handler
import json


def handler(event, context):
    # FC hands over the bytes, Lambda and SCF what the JSON says.
    if isinstance(event, bytes):
        event = json.loads(event)
    print("an event of", len(event), "members")  # The log.
    return {"greeting": f"Hello, {event['name']}!"}
