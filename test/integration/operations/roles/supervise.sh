#!/bin/sh
# Starts the server again whenever it ends, as a supervisor does; the server ends with this script.
while :; do
  setpriv --pdeathsig KILL "${FORGE_TEST_SERVER:-redis-server}" "$@"
  sleep 0.1
done
