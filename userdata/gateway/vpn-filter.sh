#!/bin/sh
# Loads the gateway's own chains and puts the jump to each first in its built-in chain: VPN-FORWARD in FORWARD and so on.
# One transaction per table: a reload duplicates nothing, leaves the rules of others alone and has no moment without rules.
set -eu
rules=/etc/vpn-gateway/filter.rules
text=$(while read -r line; do
  case $line in
  '*'*) table=${line#?} chains= ;;
  :VPN-*) chain=${line#:VPN-} chains="$chains ${chain%% *}" ;;
  COMMIT)
    for chain in $chains; do
      if iptables -w -t "$table" -C "$chain" -j "VPN-$chain" 2>/dev/null; then echo "-D $chain -j VPN-$chain"; fi
      echo "-I $chain -j VPN-$chain"
    done
    ;;
  esac
  echo "$line"
done <$rules)
# iptables-restore takes an empty file, and one that ends after any table: forwarding would come on without the rules.
case $text in
*'# end') echo "$text" | iptables-restore -w --noflush ;;
*)
  echo "$rules is not whole"
  exit 1
  ;;
esac
