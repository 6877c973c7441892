# A function as in Tencent's tutorial on custom runtimes, which has the same contract.
function main_handler () {
  EVENT=$1
  echo "received: $EVENT" 1>&2;
  ANSWER="The event was: '$EVENT'"
  echo $ANSWER
}
