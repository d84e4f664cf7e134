#!/bin/sh
# Has Prometheus or Alertmanager, the first process of this container, read its files again, and waits until it has taken
# them. Fails when it refuses them.
#   reload.sh HOST PORT prometheus|alertmanager
set -eu
host=$1 port=$2 name=$3
folder=${0%/*}

# Prints one figure of its own; nothing when it does not answer.
figure() {
  sh "$folder/fetch.sh" "$host" "$port" /metrics 2>/dev/null | while read -r metric value; do
    if [ "$metric" = "${name}_config_last_reload_$1" ]; then echo "$value"; fi
  done
}

before=$(figure success_timestamp_seconds)
worked=$(figure successful)
kill -HUP 1
tries=0
while [ "$tries" -lt 100 ]; do
  now=$(figure success_timestamp_seconds)
  if [ -n "$now" ] && [ "$now" != "$before" ]; then exit 0; fi
  if [ "$worked" = 1 ] && [ "$(figure successful)" = 0 ]; then
    echo "it refuses the files; its log says why" >&2
    exit 1
  fi
  tries=$((tries + 1))
  sleep 0.2
done
echo "it did not take the files within 20 s; its log may say why" >&2
exit 1
