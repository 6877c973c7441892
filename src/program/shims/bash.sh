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
# 1 is no failure: a guard such as `[ … ] && main` is often the last line. A syntax error is 2 or more.
[ "$?" -lt 2 ] || exit 1
if [ "$(command -v "$_f_name")" != "$_f_name" ]; then
  command echo "Runtime.NoSuchHandler: $_f_file has no function $_f_name" >&2
  exit 127
fi

# FILE's `set -e` holds for the function, not for the loop.
case $- in *e*) _f_e=-e ;; *) _f_e=+e ;; esac
set +e

# With `set -m` a subshell leads a process group. An array is never exported, so that a `set -a` in
# FILE cannot put a large event into the environment of every program.
[ -z "${BASH_VERSION-}" ] || { set -m && declare -a _f_event; }

command echo 0 >&3
while IFS= command read -r _f_line <&3; do
  _f_status=0
  case $_f_line${BASH_VERSION-} in
  # Nothing to do: FILE was loaded, and each event cleans up after itself.
  init* | pre*) ;;
  *[0-9]*)
    # Bash reads here, because each page that only the subshell touches is one more page to copy.
    mapfile -t _f_vars <&4
    case $_f_line${BASH_VERSION-} in
    binary*) ;;
    # `mapfile -d` is bash 4.4's, and twice as fast. `read` ends with 1 for want of a NUL.
    *e4.*) IFS= command read -r -d '' _f_event || : ;;
    *) mapfile -d '' _f_event ;;
    esac
    (
      # Without the test an empty array is an error under `set -u` before bash 4.4.
      [ -z "${_f_vars-}" ] || export "${_f_vars[@]}"
      # The event from its start again, for reading only, with an offset of its own.
      exec </proc/self/fd/0 3>&- 4>&-
      set "$_f_e"
      "$_f_name" "${_f_event-}"
    ) &
    # Job control tells about ends by signals on stderr: the log is no place for that.
    {
      command echo "pid $!" >&3
      _f_event=
      command wait "$!"
      _f_status=$?
      # Kills until the group is empty, because what still runs could write into the next result.
      # The second wait is for a subshell that had stopped itself.
      while command kill -KILL -- "-$!"; do :; done
      command wait "$!"
    } 2>&-
    ;;
  *)
    # A plain sh has no groups without a terminal: what is left gets a SIGTERM.
    (
      while IFS= command read -r _f_event; do
        export "$_f_event"
      done <&4
      _f_event=
      # The x keeps the event's trailing newlines.
      [ "$_f_line" != invoke ] || { _f_event=$(cat; command echo x) && _f_event=${_f_event%x}; }
      exec </proc/self/fd/0 3>&- 4>&-
      set -- "$_f_event"
      unset _f_event
      set "$_f_e"
      "$_f_name" "$1"
    )
    _f_status=$?
    trap '' TERM
    command kill -TERM 0
    trap - TERM
    ;;
  esac
  command echo "$_f_status" >&3
done
