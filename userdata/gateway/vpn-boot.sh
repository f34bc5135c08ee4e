#!/bin/sh
# The first boot, step by step; the first step that fails ends it with its name. May be run again by hand.
set -eu
state=/var/lib/vpn-gateway/boot
log=/var/log/vpn-boot.log
mkdir -p ${state%/*}
exec 3>&1 >$log 2>&1

finish() {
  code=$?
  if [ $code = 0 ]; then
    echo "done" >$state
  else
    echo "failed $step" >$state
    echo "step $step failed:" >&3
    tail -n 20 $log >&3
  fi
}
trap finish EXIT

begin() {
  step=$1
  echo "running $step" >$state
}

unit() {
  begin "$1"
  # The last lines of the log are what the step itself said.
  systemctl restart "$1" || {
    journalctl --sync
    journalctl -b -qocat -n5 -t "$1" -t addconn -t pluto
    exit 1
  }
}

packages() {
  # One sync at the end instead of one for each file: until then the step is not done.
  apt-get -q -o Acquire::Languages=none update &&
    apt-get -qy --no-install-recommends -o DPkg::Lock::Timeout=300 -o DPkg::Options::=--force-unsafe-io \
      install libreswan iptables curl iputils-ping &&
    sync
}

export DEBIAN_FRONTEND=noninteractive
begin units
# Every reload of the manager runs all generators again; units that it has not seen yet need none.
systemctl enable -q --no-reload vpn-secrets vpn-filter vpn-sysctl vpn-watch
# First, for whoever wants to log in and see why the rest failed; but not without what it asks with.
early=$(command -v curl || true)
[ -z "$early" ] || unit vpn-secrets
begin packages
tries=20
until packages; do
  tries=$((tries - 1))
  [ $tries != 0 ]
  sleep 15
done
[ -n "$early" ] || unit vpn-secrets
unit vpn-filter
unit vpn-sysctl
begin ipsec
# The manager may know this one without our drop-in, from the image. Asked before enabling, which makes it say yes.
[ "$(systemctl show -P NeedDaemonReload ipsec)" != yes ] || systemctl daemon-reload
systemctl enable -q --no-reload ipsec
unit ipsec
unit vpn-watch
