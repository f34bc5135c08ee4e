"""The report for people, on one screen."""

from vpn_verify.examine import Report

_INDENT = 22
_COLUMNS = 160


def text(report: Report) -> str:
    """Return each layer with its evidence when all hold; otherwise what failed, and the names of the rest."""
    if report.ok:
        rows = [f"{row.status:8}{row.name:14}{_cut(row.evidence)}" for row in report.layers]
        return "\n".join([f"{report.gateway}: ok", *rows])
    lines = [f"{report.gateway}: NOT ok"]
    for row in report.layers:
        if row.status == "failed":
            lines.append(f"failed  {row.name:14}{row.evidence}")
            lines.append(f"{'':{_INDENT}}-> {row.remedy}")
    for status, reason in ("skipped", ": they need what failed"), ("ok", ""):
        names = [row.name for row in report.layers if row.status == status]
        if names:
            lines.append(f"{status:8}{', '.join(names)}{reason}")
    return "\n".join(lines)


def _cut(evidence: str) -> str:
    """Shorten the evidence of many tunnels to the rest of a line."""
    room = _COLUMNS - _INDENT
    return evidence if len(evidence) <= room else evidence[: room - 4] + " ..."
