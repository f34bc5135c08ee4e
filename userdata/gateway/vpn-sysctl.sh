#!/bin/sh
# Writes the 13 keys for the interface that carries the default route now, applies them and reads them back.
set -eu
file=/etc/sysctl.d/90-vpn-gateway.conf
for _ in $(seq 60); do
  interface=$(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p;q')
  [ -z "$interface" ] || break
  sleep 1
done
[ "$interface" ] || { echo "no default route after 60 s"; exit 1; }
{
  # First: switching it resets some of the others.
  echo net.ipv4.ip_forward=1
  for scope in all default lo "$interface"; do
    for kind in accept secure send; do echo "net.ipv4.conf.$scope.${kind}_redirects=0"; done
  done
  # Loose: what is decrypted comes from networks that are not behind this interface.
  for scope in all default "$interface"; do echo "net.ipv4.conf.$scope.rp_filter=2"; done
  # The packet filter speaks IPv4 only: no IPv6 passes. The dash is for kernels without it.
  echo -net.ipv6.conf.all.forwarding=0
} >$file
/usr/lib/systemd/systemd-sysctl $file
grep -v ^- $file | while IFS='=' read -r key value; do
  [ "$(sysctl -n "$key")" = "$value" ] || { echo "$key is not $value"; exit 1; }
done
