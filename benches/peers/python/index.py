# The function: its result is its event.
def handler(event, context):
    return event
