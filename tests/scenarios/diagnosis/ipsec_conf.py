"""Changes the keywords of an ipsec.conf(5). Pure."""

from collections.abc import Mapping

from components.decisions.tunnel import PROFILES, TunnelProfile


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
    keywords = {**PROFILES[profile].config_setup, **PROFILES[profile].keywords}
    others = {keyword for data in PROFILES.values() for keyword in (*data.config_setup, *data.keywords)}
    present = {line.strip().partition("=")[0] for line in text.splitlines()}
    gone: dict[str, str | None] = dict.fromkeys((others - keywords.keys()) & present)
    return with_keywords(text, gone | keywords)
