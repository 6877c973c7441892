# The resident side of a shell function: bash from 4.2 on, or a plain POSIX sh where there is no bash.
# Started as `bash -c SHIM fnboot FILE NAME PLATFORM`; $0 stays "fnboot", so that the idiom
# `[ "$0" = "$BASH_SOURCE" ] && main` in FILE sees that FILE is sourced.
#
# fd 0 event, fd 1 result, fd 2 log, fd 3 control, fd 4 context (lines NAME=value).
# Our names begin with _f_ because FILE shares them with us, and `command` stands before builtins
# because FILE may have functions of those names.

_f_file=$1 _f_name=$2
# FILE must not see our arguments: some scripts end with an unguarded `main "$@"`.
set --
cd "${_f_file%/*}/" || exit 1

# What FILE prints while it is loaded is no result. It gets no descriptor of the channel, either.
# No `||` here: it would switch off a `set -e` that FILE asks for.
. "$_f_file" >&2 3>&- 4>&-
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
# and the credentials of its call.
case $- in *x*) _f_x=-x ;; *) _f_x=+x ;; esac
set +x
case $- in *e*) _f_e=-e ;; *) _f_e=+e ;; esac
set +e

# One event, in a subshell. It waits for the event itself: the fork, and all that stands before the
# `read`, is done before the event comes.
_f_call() {
  # The event again, for the function: for reading only, with an offset of its own.
  exec 5<&0 </proc/self/fd/0
  IFS= command read -r _f_line <&3 || exit
  if [ -n "${BASH_VERSION-}" ]; then
    # The number of the process group. It also says that the line was taken: a subshell that was
    # killed before must not answer for an event.
    command echo "pid $BASHPID" >&3
    mapfile -t -u 4 _f_vars
    # Without the test an empty array is an error under `set -u` before bash 4.4.
    [ -z "${_f_vars-}" ] || command export "${_f_vars[@]}"
    # `read -d` and, before bash 5.2, `mapfile -d` read byte by byte: seconds for 6 MB. Lines are read in
    # blocks. An array is never exported, so that `set -a` in FILE cannot put a large event into the
    # environment of every program.
    case $_f_line$BASH_VERSION in
    invoke4.* | invoke5.[01].*) mapfile -u 5 _f_event ;;
    invoke*) mapfile -u 5 -d '' _f_event ;;
    esac
    # Joining many lines takes three times as long as passing one on.
    if [ -z "${_f_event[1]+x}" ]; then
      set -- "${_f_event-}"
    else
      IFS= command eval 'set -- "${_f_event[*]}"'
    fi
  else
    while IFS= command read -r _f_event; do
      export "$_f_event"
    done <&4
    _f_event=
    # The x keeps the event's trailing newlines.
    [ "$_f_line" != invoke ] || { _f_event=$(cat <&5; command echo x) && _f_event=${_f_event%x}; }
    set -- "$_f_event"
  fi
  unset _f_event
  exec 3>&- 4>&- 5>&-
  case $_f_line in
  # Nothing to do: FILE was loaded, and each event cleans up after itself.
  init* | pre*) exit 0 ;;
  esac
  set "$_f_e" "$_f_x"
  "$_f_name" "$1"
}

# With `set -m` a subshell leads a process group.
[ -z "${BASH_VERSION-}" ] || set -m

command echo 0 >&3
while :; do
  if [ -n "${BASH_VERSION-}" ]; then
    (_f_call) &
    # Job control tells about ends by signals on stderr: the log is no place for that.
    {
      command wait "$!"
      _f_status=$?
      # Kills until the group is empty, because what still runs could write into the next result. It never
      # is if a process has ended whose parent has left the group and does not ask how.
      # The second wait is for a subshell that had stopped itself.
      _f_count=0
      while command kill -KILL -- "-$!" && [ $((_f_count += 1)) -lt 1000 ]; do :; done
      command wait "$!"
    } 2>&-
  else
    # A plain sh has no groups without a terminal: what is left gets a SIGTERM.
    (_f_call)
    _f_status=$?
    trap '' TERM
    command kill -TERM 0
    trap - TERM
  fi
  # Nobody hears this: fnboot has closed the channel, and the subshell's `read` met its end.
  command echo "$_f_status" >&3 || exit
done
