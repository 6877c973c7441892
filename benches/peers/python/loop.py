# The least that an event can cost in Python: a line in, a line out, over pipes.
import sys

from index import handler

read, write = sys.stdin.buffer.readline, sys.stdout.buffer
while line := read():
    write.write(handler(line[:-1], None) + b"\n")
    write.flush()
