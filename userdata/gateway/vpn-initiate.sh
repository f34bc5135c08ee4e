#!/bin/sh
# auto=ondemand waits for a packet; this brings the connections up. Pluto reads them only after it has said it is ready.
for connection in "$@"; do
  for _ in $(seq 60); do
    ipsec whack --initiate --asynchronous --name "$connection" && break
    sleep 0.5
  done
done
