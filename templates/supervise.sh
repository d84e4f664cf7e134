#!/bin/sh
# Keeps one program running on a host that has nothing but a POSIX shell.
#
#   supervise.sh [--stay] RECORD DELAY_S DELAY_MAX_S BUDGET WINDOW_S PROGRAM [ARGUMENT...]
#   supervise.sh --once PROGRAM [ARGUMENT...]
#
# The program is restarted when it ends with an error or by a signal, after DELAY_S seconds, doubled with every further
# crash up to DELAY_MAX_S. After BUDGET crashes in a row, each within WINDOW_S seconds of its start, it is given up
# ("failed"). A clean end (code 0: a SHUTDOWN, an operator's SIGTERM) is respected and not restarted ("exited").
# SIGTERM to this script stops the program and then the script ("stopped").
#
# With --stay, for the first process of a container, the script does not end after "exited" and "failed", but waits for
# SIGTERM: its end would be the container's, which is then started again.
#
# With --once, where something else starts it again (Docker's restart policy), this only becomes the program.
#
# Of a server with an append-only file, SUPERVISE_MANIFEST in the environment names the manifest: what a power cut has left at
# the end of that file is cut off before each start.
#
# RECORD always tells, whole or not at all, what runs: each process by its number and start time, so that nobody
# mistakes a later process with the same number for ours. src/runtime/process/identity.ts computes the same.
set -u
# Such a tail is a block or two of a file system; a longer one than this is left alone, for somebody to look at.
zeros_max=1048576

# Sets `start` to what tells this process from any other that ever had its number.
identify() {
  if [ -r "/proc/$1/stat" ] && [ -r /proc/sys/kernel/random/boot_id ]; then
    IFS= read -r boot </proc/sys/kernel/random/boot_id
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || stat=
    # The second field is the program's name in parentheses and may hold blanks; the 22nd is the start time.
    fields=${stat##*') '}
    # shellcheck disable=SC2086
    set -- $fields
    # A `shift` of more than there are would end the script: a program may be gone before it is looked at.
    if [ $# -gt 19 ]; then shift 19; else set -- gone; fi
    start=${boot%%-*}:$1
  else
    # shellcheck disable=SC2046
    set -- $(TZ=UTC LC_ALL=C ps -o lstart= -p "$1")
    start=$(IFS=_ && echo "$*")
  fi
}

write_record() {
  printf 'state %s\nsupervisor %s\nchild %s\nrestarts %s\nlast_exit %s\nsince %s\n' \
    "$1" "$self" "$child_id" "$restarts" "$last_exit" "$(date +%s)" >"$record.new" && mv -f "$record.new" "$record"
}

# Whether the last so many bytes of `file` are zeros.
zeros() {
  [ "$(tail -c "$1" "$file" | tr -d '\000' | head -c 1 | wc -c)" -eq 0 ]
}

# A power cut can leave zeros behind what was flushed: the file system knew how long the file had become, and not yet what was
# in it. No server loads that, but all leave out a command that is cut off (aof-load-truncated). A file that is whole ends in a
# line feed, so zeros at its end are never somebody's data.
mend() {
  name=$(sed -n 's/^file \([^ ]*\) seq [0-9]* type i.*/\1/p' "$1" 2>/dev/null | tail -n 1)
  file=${1%/*}/$name
  { [ -n "$name" ] && [ -s "$file" ] && zeros 1; } || return 0
  size=$(wc -c <"$file") few=1 many=2
  while [ "$many" -le "$size" ] && [ "$many" -le "$zeros_max" ] && zeros "$many"; do few=$many many=$((many * 2)); done
  [ "$many" -gt "$((size + 1))" ] && many=$((size + 1))
  while [ $((many - few)) -gt 1 ]; do
    middle=$(((few + many) / 2))
    if zeros "$middle"; then few=$middle; else many=$middle; fi
  done
  # So many are no tail: somebody has to look.
  [ "$few" -ge "$zeros_max" ] && return 0
  echo "supervise: $few zeros, left by a power cut, are cut off $file" >&2
  dd if=/dev/null of="$file" bs=1 seek=$((size - few)) 2>/dev/null
}

on_term() {
  stopping=yes
  [ -n "$child" ] && kill -TERM "$child" 2>/dev/null
}

# A trapped signal interrupts `wait`; go on until the process is really gone.
wait_for_child() {
  wait "$child"
  code=$?
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
}

# Does nothing until SIGTERM comes.
rest() {
  while [ -n "$stay" ] && [ -z "$stopping" ]; do
    sleep 86400 &
    child=$!
    [ -n "$stopping" ] && kill -TERM "$child" 2>/dev/null
    wait_for_child
    child=''
  done
}

# In the place of this script: who sees to its end and its output sees no difference.
once() {
  # The first process of a container is not ended by a signal that it does not ask for.
  trap 'exit 143' TERM INT
  [ -n "${SUPERVISE_MANIFEST:-}" ] && mend "$SUPERVISE_MANIFEST"
  trap - TERM INT
  exec "$@"
}

supervise() {
  umask 077
  stay=''
  if [ "$1" = --stay ]; then
    stay=yes
    shift
  fi
  record=$1 delay_first=$2 delay_max=$3 budget=$4 window=$5
  shift 5
  child='' child_id=- stopping='' restarts=0 last_exit=- crashes=0
  identify "$$"
  self="$$ $start"
  trap on_term TERM INT
  trap '' HUP

  if ! { [ -f "$1" ] && [ -x "$1" ]; } && { [ "${1#/}" != "$1" ] || ! command -v "$1" >/dev/null; }; then
    echo "supervise: there is no program $1 that may be executed" >&2
    last_exit=127
    write_record failed
    rest
    return 127
  fi

  while :; do
    [ -n "${SUPERVISE_MANIFEST:-}" ] && mend "$SUPERVISE_MANIFEST"
    started=$(date +%s)
    "$@" &
    child=$!
    [ -n "$stopping" ] && kill -TERM "$child" 2>/dev/null
    identify "$child"
    child_id="$child $start"
    write_record running
    wait_for_child
    child='' child_id=- last_exit=$code
    [ -n "$stopping" ] && break
    if [ "$code" -eq 0 ]; then
      write_record exited
      rest
      return 0
    fi

    [ $(($(date +%s) - started)) -ge "$window" ] && crashes=0
    if [ "$crashes" -ge "$budget" ]; then
      write_record failed
      echo "supervise: ${1##*/} ended with code $code again; it is given up after $budget restarts" >&2
      rest
      return 1
    fi
    delay=$delay_first doubled=0
    while [ "$doubled" -lt "$crashes" ] && [ "$delay" -lt "$delay_max" ]; do
      delay=$((delay * 2)) doubled=$((doubled + 1))
    done
    [ "$delay" -gt "$delay_max" ] && delay=$delay_max
    crashes=$((crashes + 1)) restarts=$((restarts + 1))
    write_record waiting
    echo "supervise: ${1##*/} ended with code $code; restart $crashes of $budget in $delay s" >&2
    sleep "$delay" &
    child=$!
    [ -n "$stopping" ] && kill -TERM "$child" 2>/dev/null
    wait_for_child
    child=''
    [ -n "$stopping" ] && break
  done
  write_record stopped
}

# One call at the end: the shell has read the whole file by then, so replacing it does no harm to what runs.
if [ "$1" = --once ]; then
  shift
  once "$@"
else
  supervise "$@"
fi
exit $?
