#!/bin/sh
# Writes the 13 keys for the interface that carries the default route now, applies them and reads them back; then routes
# the other sides' networks by that interface too, but with the tunnel's MTU.
set -eu
file=/etc/sysctl.d/90-vpn-gateway.conf
for _ in $(seq 60); do
  way=$(ip -4 route show default | sed -n 's/^default \(.*dev [^ ]*\).*/\1/p;q')
  [ -z "$way" ] || break
  sleep 1
done
[ "$way" ] || { echo "no default route after 60 s"; exit 1; }
interface=${way##* }
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
# In one process: each costs a booting machine a twentieth of a second and more.
keys=$(grep -v ^- $file)
# shellcheck disable=SC2046 # a list of keys
actual=$(sysctl $(echo "$keys" | cut -d= -f1) | sed 's/ = /=/')
[ "$actual" = "$keys" ] || { echo "there is: $actual"; exit 1; }
# Not by a pipe from sed, whose failure nobody would see.
routes=$(sed "s/.*/route replace & $way/" /etc/vpn-gateway/routes)
echo "$routes" | ip -batch -
