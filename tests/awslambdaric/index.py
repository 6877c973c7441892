"""The same function as tests/lambda_runtime on AWS's own Python runtime, but for pieces, which it does not know."""
import os


def handler(event, context):
    print(f"an event with id {context.aws_request_id}", flush=True)
    path = isinstance(event, dict) and event.get("rawPath", event.get("path"))
    if path == "/fail":
        raise ValueError("it failed")
    if path == "/die":
        os._exit(3)
    if path and "rawPath" in event:
        return {"statusCode": 201, "headers": {"x-by": "python"}, "body": path}
    return event
