#!/bin/sh
# Gets a page of this container's own server over HTTP, with what its image has: bash, else wget. Fails unless it is there.
#   fetch.sh HOST PORT PATH
set -eu

if command -v bash >/dev/null 2>&1; then
  # shellcheck disable=SC2016 # bash itself is to expand it
  exec bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    printf "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" "$3" "$1" >&3
    IFS= read -r -t 5 line <&3 || exit 1
    case "$line" in "HTTP/1."[01]" 200"*) exec cat <&3 ;; *) exit 1 ;; esac
  ' fetch "$1" "$2" "$3"
elif command -v wget >/dev/null 2>&1; then
  exec wget -q -T 5 -O - "http://$1:$2$3"
fi
echo 'the image has neither bash nor wget' >&2
exit 1
