# Runs on a host whose logs are rotated: functions that forge calls one after another, in a shell of its own.
# Needs a POSIX shell, stat, gzip and cmp; Linux, for /proc. A file is opened first and looked at then, so that a
# symbolic link that comes into its place at the last moment is found out.
LC_ALL=C
export LC_ALL
umask 077
lock=.forge-rotate-logs.lock
held=

# Leaves the folder's own mark behind only when the host itself ends.
trap 'unlock_logs' EXIT

enter() {
  command cd -- "$1" 2>/dev/null || { [ -e "$1" ] || return 44; return 13; }
  [ -d . ] && [ "$(pwd -P)" != / ]
}

# kind|names|bytes|modified|born|changed|name
list_files() {
  stat -c '%F|%h|%s|%Y|%W|%Z|%n' -- * .[!.]* 2>/dev/null
  return 0
}

# Opens $1 as descriptor 3 (for reading and emptying with `empty`).
open_log() {
  [ -f "$1" ] && [ ! -L "$1" ] || { echo "$1 is no file" >&2; return 1; }
  if [ "${2-}" = empty ]; then
    command exec 3<>"$1" || return 1
  else
    command exec 3<"$1" || return 1
  fi
  [ "$(stat -L -c %d:%i /proc/self/fd/3 3<&3)" = "$(stat -c %d:%i -- "$1")" ] || { echo "$1 has changed" >&2; return 1; }
}

# Makes $1, which is not there, as descriptor 4, with the mode and the owner of what descriptor 3 is.
make_part() {
  set -C
  command exec 4>"$1" || { set +C; return 1; }
  set +C
  dress
}

dress() {
  chown "$(stat -L -c %u:%g /proc/self/fd/3)" /proc/self/fd/4 2>/dev/null
  chmod "$(stat -L -c %a /proc/self/fd/3)" /proc/self/fd/4
}

settle() {
  sync "$1" 2>/dev/null || sync
}

close_both() {
  exec 3<&- 4>&-
}

remove_file() {
  rm -f -- "$1"
}

rename_file() {
  if [ -e "$2" ] || [ -L "$2" ]; then
    echo "$2 is there already" >&2
    return 1
  fi
  mv -- "$1" "$2" && settle .
}

make_like() {
  open_log "$2" || { close_both; return 1; }
  [ ! -L "$1" ] && command exec 4>>"$1" &&
    [ "$(stat -L -c %d:%i /proc/self/fd/4)" = "$(stat -c %d:%i -- "$1")" ] && dress
  made=$?
  close_both
  return $made
}

# $1 into $2, which becomes the copy under another name; then $1 is emptied.
copy_and_empty() {
  copy_all "$1" "$2"
  copied=$?
  close_both
  return $copied
}

copy_all() {
  open_log "$1" empty && make_part "$2" || return 1
  round=0
  while :; do
    cat <&3 >&4 || return 1
    [ "$(stat -L -c %s /proc/self/fd/3)" = "$(stat -L -c %s /proc/self/fd/4)" ] && break
    round=$((round + 1))
    [ $round -lt 1000 ] || { echo "$1 grows faster than it is copied" >&2; return 1; }
  done
  settle "$2"
  : >/proc/self/fd/3
}

# $1 into $2; the status of gzip is not that of the reading.
compress_file() {
  compress_all "$1" "$2"
  packed=$?
  close_both
  [ $packed = 0 ] || rm -f -- "$2"
  return $packed
}

compress_all() {
  open_log "$1" && make_part "$2" || return 1
  gzip -c <&3 >&4 || return 1
  touch -r "$1" -- "$2" && settle "$2"
}

holds_same() {
  gzip -t <"$1" 2>/dev/null && gzip -dc <"$1" | cmp -s - "$2"
}

begins_with() {
  head -c "$(stat -c %s -- "$2")" -- "$1" | cmp -s - "$2"
}

# Descriptors of any process that are file $1: at once where find can, else process by process.
descriptors_of() {
  if find . -maxdepth 0 -samefile . >/dev/null 2>&1; then
    find -L /proc/[1-9]*/fd -maxdepth 1 -samefile "./$1" 2>/dev/null
    return 0
  fi
  file=$(stat -c %d:%i -- "$1")
  for process in /proc/[1-9]*; do
    stat -L -c '%d:%i %n' "$process"/fd/* 2>/dev/null
  done | sed -n "s/^$file //p"
}

# pid|flags|program of each process that has $1 open.
list_writers() {
  [ -e "$1" ] || return 0
  descriptors_of "$1" | while read -r descriptor; do
    process=${descriptor%/fd/*}
    flags=$(sed -n 's/^flags:[[:space:]]*//p' "$process/fdinfo/${descriptor##*/}" 2>/dev/null)
    printf '%s|%s|%s\n' "${process#/proc/}" "$flags" "$(readlink "$process/exe" 2>/dev/null)"
  done
  return 0
}

reopen_log() {
  kill -USR1 "$1" 2>/dev/null
  return 0
}

# What tells process $1 from any other that ever had its number.
start_of() {
  IFS= read -r boot </proc/sys/kernel/random/boot_id
  { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  fields=${stat##*') '}
  # shellcheck disable=SC2086
  set -- $fields
  case $1 in Z | X) return 1 ;; esac
  shift 19
  printf '%s:%s' "${boot%%-*}" "$1"
}

# The same lock as that of forge on this host. 45: held by the process that is told.
lock_logs() {
  own=$lock.$1
  content="{\"pid\":$$,\"start\":\"$(start_of $$)\",\"purpose\":\"forge rotate-logs\",\"token\":\"$1\"}"
  set -C
  { printf '%s' "$content" >"$own"; } 2>/dev/null || { set +C; return 13; }
  set +C
  for round in 1 2 3; do
    if ln -- "$own" "$lock" 2>/dev/null; then
      rm -f -- "$own"
      held=$content
      return 0
    fi
    holder=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$lock" 2>/dev/null)
    start=$(sed -n 's/.*"start":"\([^"]*\)".*/\1/p' "$lock" 2>/dev/null)
    if [ -n "$holder" ] && [ "$(start_of "$holder")" = "$start" ]; then
      rm -f -- "$own"
      printf '%s' "$holder"
      return 45
    fi
    # Only who holds the right to it removes the lock of a process that has died.
    dead=$(cat "$lock" 2>/dev/null)
    right=$lock.$(printf '%s' "$dead" | sha256sum | cut -c 1-16)
    if ln -- "$own" "$right" 2>/dev/null; then
      [ "$(cat "$lock" 2>/dev/null)" = "$dead" ] && rm -f -- "$lock"
      rm -f -- "$right"
    fi
  done
  rm -f -- "$own"
  return 45
}

unlock_logs() {
  [ -n "$held" ] && [ "$(cat "$lock" 2>/dev/null)" = "$held" ] && rm -f -- "$lock"
  held=
  return 0
}
