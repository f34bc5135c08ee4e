#!/bin/sh
# Writes the keys for the interface that carries the default route now, and the size and timeouts of the table of
# connections, applies them and reads them back; then routes the other sides' networks by that interface too, but with
# the tunnel's MTU. Forwarding is not among the keys: from a file in sysctl.d it would come on before the packet filter,
# at every boot.
set -eu
file=/etc/sysctl.d/90-vpn-gateway.conf
for _ in $(seq 60); do
  way=$(ip -4 route show default | sed -n 's/^default \(.*dev [^ ]*\).*/\1/p;q')
  [ -z "$way" ] || break
  sleep 1
done
[ "$way" ] || { echo "no default route after 60 s"; exit 1; }
interface=${way##* }
# MemTotal, in KiB.
read -r _ memory _ </proc/meminfo
{
  for scope in all default lo "$interface"; do
    for kind in accept secure send; do echo "net.ipv4.conf.$scope.${kind}_redirects=0"; done
  done
  # Loose: what is decrypted comes from networks that are not behind this interface.
  for scope in all default "$interface"; do echo "net.ipv4.conf.$scope.rp_filter=2"; done
  # The packet filter speaks IPv4 only: no IPv6 passes. The dash is for kernels without it.
  echo -net.ipv6.conf.all.forwarding=0
  # One connection for each 8 KiB of memory, which is some 5 % of it. The kernel counts buckets in pages of 512.
  size=$((memory / 8 - memory / 8 % 512))
  # RFC 5382, REQ-5: two hours and four minutes. RFC 4787, REQ-5: two minutes at least. RFC 5508, REQ-1: a minute.
  for key in max=$size buckets=$size tcp_timeout_established=7440 udp_timeout=120 udp_timeout_stream=300 icmp_timeout=60; do
    echo "net.netfilter.nf_conntrack_$key"
  done
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
