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
  systemctl enable -q "$1"
  # The last lines of the log are what the step itself said.
  systemctl restart "$1" || {
    journalctl --sync
    journalctl -bqocat -n5 -t "$1" -t addconn -t pluto
    exit 1
  }
}

packages() {
  apt-get -q update
  apt-get -qy --no-install-recommends -o DPkg::Lock::Timeout=300 install libreswan iptables curl iputils-ping
}

export DEBIAN_FRONTEND=noninteractive
unit vpn-secrets
begin packages
tries=20
until packages; do
  tries=$((tries - 1))
  [ $tries != 0 ]
  sleep 15
done
unit vpn-filter
unit vpn-sysctl
unit ipsec
