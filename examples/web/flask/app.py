# A Flask app behind gunicorn, which listens on $PORT by itself:
#
#     pip install --target . -r requirements.txt
#     bootstrap web python3 -m gunicorn --workers 1 --threads 8 app:app
import os
import sys

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def hello():
    print("a request with id", request.headers.get("X-Fc-Request-Id"), file=sys.stderr)
    return jsonify(greeting=f"Hello, {request.args.get('name', 'World')}!")


# What is no HTTP request comes here: a timer, a message of a queue, `make invoke EVENT=…`.
@app.post("/invoke")
def event():
    print("an event with id", request.headers.get("X-Fc-Request-Id"), file=sys.stderr)
    return jsonify(greeting=f"Hello, {request.get_json(force=True)['name']}!")


@app.post("/initialize")
def initialize():
    return "", 200


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
