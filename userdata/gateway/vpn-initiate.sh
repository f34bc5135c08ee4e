#!/bin/sh
# auto=ondemand waits for a packet; this brings the connections up. Pluto says that it is ready before it has read them,
# and whack of 4.10 exits with 0 also when there is no such connection: the status is asked instead.
for connection in "$@"; do
  for _ in $(seq 60); do
    if ipsec status | grep -q "\"${connection}[\"/]"; then
      ipsec whack --initiate --asynchronous --name "$connection"
      break
    fi
    sleep 0.5
  done
done
