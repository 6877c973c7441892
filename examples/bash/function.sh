# bootstrap function function.handler
#
# The file is read once. Each event runs the function in a subshell: the event is its argument and its standard
# input, standard output is the answer, standard error the log.
handler() {
    echo "an event of ${#1} bytes" >&2
    [ -n "$1" ] || { echo "NoEvent: there is nothing to answer" >&2; return 1; }
    printf '{"hello":"bash","event":%s}' "$1"
}
