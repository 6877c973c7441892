# The event is the argument, what it prints is the answer.
function handler () {
  EVENT=$1
  echo "received: $EVENT" 1>&2
  echo "The event was: '$EVENT'"
}
