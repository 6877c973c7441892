# The resident side of a shell function: bash from 4.2 on, or a plain POSIX sh where there is no bash.
# Started as `bash -c SHIM fnboot FILE NAME PLATFORM`; $0 stays "fnboot", so that the idiom
# `[ "$0" = "$BASH_SOURCE" ] && main` in FILE sees that FILE is sourced.
#
# fd 0 event, fd 1 result, fd 2 log, fd 3 control, fd 4 context (lines NAME=value), fd 5 the event again.
# Our names begin with _f_ because FILE shares them with us, and `command` stands before what is built in
# because FILE may have functions of those names.

_f_file=$1 _f_name=$2
# FILE must not see our arguments: some scripts end with an unguarded `main "$@"`.
set --
cd "${_f_file%/*}/" || exit 1

# What FILE prints while it is loaded is no result. It gets no descriptor of the channel, either.
# No `||` here: it would switch off a `set -e` that FILE asks for.
. "$_f_file" </dev/null >&2 3>&- 4>&- 5>&-
# 1 alone is no failure, because a guard such as `[ … ] && main` is often the last line. Before bash 5
# it may be a syntax error, too.
case $? in
0) ;;
1) "${BASH:-sh}" -n "$_f_file" || exit 1 ;;
*) exit 1 ;;
esac
if [ "$(command -v "$_f_name")" != "$_f_name" ]; then
  command echo "Runtime.NoSuchHandler: $_f_file has no function $_f_name" >&2
  exit 127
fi

# FILE's `set -e` and `set -x` hold for the function, not for the loop: a trace of that would have the event
# and the credentials of its call. To set nothing costs nothing, where nothing was set.
_f_set=-
case $- in *x*) _f_set=-x ;; esac
command set +x
case $- in *e*) _f_set=${_f_set}e ;; esac
command set +e
_f_call() {
  command set "$_f_set"
  "$_f_name" "$1"
}
_f_run=$_f_name
[ "$_f_set" = - ] || _f_run=_f_call

if [ -n "${BASH_VERSION-}" ]; then
  # With `set -m` a subshell leads a process group. Job control tells about ends on stderr: the log is no
  # place for that.
  command set -m
  command exec {_f_log}>&2 || command exec {_f_log}>/dev/null
  command exec 2>&-
fi

command echo 0 >&3
while :; do
  # One event, in a subshell: not in the background, which would cost a tenth. (If it ends by SIGINT, or is
  # stopped by SIGTSTP, bash ends, too, with that status: it takes it for the wish of whoever sits before it.)
  # It waits for the event itself: the fork is done before the event comes. What it does is not in a function,
  # because bash copies a function that it calls, and the kernel what is copied.
  (
    IFS= command read -r _f_line <&3 || command exit
    case $_f_line${BASH_VERSION-} in
    # Nothing to do: FILE was loaded, and each event cleans up after itself.
    init* | pre*) command exit 0 ;;
    # fnboot has seen that something is left of the group of the event before, which could write into the next
    # result. It is killed until the group is empty; which it never is if a process has ended whose parent
    # has left the group and does not ask how.
    pid*)
      _f_count=0
      while command kill -KILL -- "-${_f_line#pid }" && [ $((_f_count += 1)) -lt 1000 ]; do :; done
      command exit "$_f_status"
      ;;
    invoke | binary)
      while IFS= command read -r _f_event; do
        export "$_f_event"
      done <&4
      # The x keeps the event's trailing newlines.
      [ "$_f_line" = binary ] || { _f_event=$(command cat <&5; command echo x) && set -- "${_f_event%x}"; }
      unset _f_event
      exec 3>&- 4>&- 5>&-
      ;;
    *)
      command mapfile -t -u 4 _f_vars
      # The number of the process group, behind the variables, where fnboot looks when it needs it.
      command echo "pid $BASHPID" >&4
      # `read -d` and, before bash 5.2, `mapfile -d` read byte by byte: seconds for 6 MB. Lines are read in
      # blocks; to join them takes three times as long as to pass one on. An array is never exported, so that
      # `set -a` in FILE cannot put a large event into the environment of every program.
      case $_f_line$BASH_VERSION in
      invoke4.* | invoke5.[01].*)
        command mapfile -u 5 _f_event
        IFS= command eval 'command set -- "${_f_event[*]-}"'
        ;;
      invoke*)
        command mapfile -u 5 -d '' _f_event
        command set -- "${_f_event-}"
        ;;
      esac
      command unset _f_event
      command exec 2>&"$_f_log" {_f_log}>&- 3>&- 4>&- 5>&-
      # Without a name `export` would write what there is.
      command export "${_f_vars[@]-PWD}"
      ;;
    esac
    "$_f_run" "${1-}"
  )
  _f_status=$?
  if [ -z "${BASH_VERSION-}" ]; then
    # A plain sh has no groups without a terminal: what is left gets a SIGTERM.
    trap '' TERM
    command kill -TERM 0
    trap - TERM
  fi
  # Nobody hears this: fnboot has closed the channel, and the subshell's `read` met its end.
  command echo "$_f_status" >&3 || command exit
done
