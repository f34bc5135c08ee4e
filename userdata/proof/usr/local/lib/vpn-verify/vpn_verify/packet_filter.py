"""The layers `packet_filter` and `nat`: the rules in the kernel against the rules file."""

from collections.abc import Mapping, Sequence

from vpn_verify.layer import FinalError, LayerError

RULES = "/etc/vpn-gateway/filter.rules"
"""What vpn-filter loads."""

Chains = Mapping[str, Sequence[str]]
"""`table chain` -> rules in order."""


def tables(wanted: str, loaded: str, names: Sequence[str]) -> str:
    """Check that the rules of some tables are those of the rules file, in its order, and that none comes before them.

    `wanted` is the text of the rules file, `loaded` what iptables-save(8) prints.
    """
    if not wanted.endswith("COMMIT\n# end"):
        raise FinalError(f"{RULES} is not whole: nothing is forwarded", "replace the instance, which writes it")
    expected = {chain: rules for chain, rules in chains(wanted).items() if chain.split()[0] in names}
    if problem := difference(expected, chains(loaded)):
        raise LayerError(problem)
    return f"{sum(map(len, expected.values()))} rules"


def chains(rules: str) -> Chains:
    """Return the chains of what iptables-save(8) prints or iptables-restore(8) reads.

    A rule with a list of addresses is a rule for each of them.
    """
    table = ""
    found: dict[str, list[str]] = {}
    for line in rules.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            found[f"{table} {line[1:].split()[0]}"] = []
        elif line.startswith("-"):
            _, chain, rule = line.split(" ", 2)
            option, addresses, *rest = rule.split(" ", 2)
            listed = addresses.split(",") if option in {"-s", "-d"} else [addresses]
            found[f"{table} {chain}"] += [" ".join([option, address, *rest]).strip() for address in listed]
    return found


def difference(expected: Chains, actual: Chains) -> str:
    """Return what is wrong with the packet filter, or nothing.

    The chain `x` jumps to `VPN-x` by its first rule.
    """
    for chain, rules in expected.items():
        origin, present = chain.replace("VPN-", ""), actual.get(chain, [])
        for wanted, loaded in (rules, present), (["-j " + chain.split()[1]], actual.get(origin, [])):
            for place, rule in enumerate(wanted):
                if rule not in loaded:
                    return f"{origin}: no {rule!r}"
                if rule != loaded[place]:
                    return f"{origin}: {rule!r} comes after {loaded[loaded.index(rule) - 1]!r}"
        if present != rules:
            return f"{origin}: {present[-1]!r} is one too many"
    return ""
