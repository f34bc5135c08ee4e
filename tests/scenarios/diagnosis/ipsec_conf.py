"""Changes the keywords of an ipsec.conf(5). Pure."""

from collections.abc import Mapping

from components.decisions.tunnel import PROFILES, TunnelProfile, tunnel_keywords


def with_keywords(text: str, changes: Mapping[str, str | None]) -> str:
    """Return the text with each keyword of `changes` set to its value; None removes the line.

    Raises KeyError for a keyword that is not in the text.
    """
    missing = dict(changes)
    lines = []
    for line in text.splitlines():
        keyword, is_setting, _ = line.strip().partition("=")
        if is_setting and keyword in changes:
            missing.pop(keyword, None)
            value = changes[keyword]
            lines += [] if value is None else [f"{line[: len(line) - len(line.lstrip())]}{keyword}={value}"]
        else:
            lines.append(line)
    if missing:
        raise KeyError(f"no {', '.join(missing)} in the text")
    return "".join(f"{line}\n" for line in lines)


def with_profile(text: str, profile: TunnelProfile) -> str:
    """Return the text with the keywords of another profile, and without those of the other profiles."""
    keywords, others = _keywords(profile), {keyword for each in TunnelProfile for keyword in _keywords(each)}
    present = {line.strip().partition("=")[0] for line in text.splitlines()}
    gone: dict[str, str | None] = dict.fromkeys((others - keywords.keys()) & present)
    return with_keywords(text, gone | keywords)


def _keywords(profile: TunnelProfile) -> dict[str, str]:
    data = PROFILES[profile]
    return {**data.config_setup, **tunnel_keywords(profile, postquantum=data.ike_version > 1)}
