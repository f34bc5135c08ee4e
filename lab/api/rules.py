"""List the rules of AWS that the lab's API adds to moto."""

from collections.abc import Iterator

from lab.api import corrections, images, roles, service


def corrected_classes() -> Iterator[type]:
    """Yield every class that holds corrections."""
    for _, _, replacement in service.MODELS:
        yield replacement
    yield from service.CorrectedEC2Backend.__bases__
    yield from service.CorrectedEC2Response.__bases__
    yield from service.CorrectedCloudWatchBackend.__bases__
    yield from service.CorrectedCloudWatchResponse.__bases__
    yield images.DebianImage
    yield roles.TrustingBackend


def listing() -> str:
    """Return one line per rule: its action or method, its sentence and AWS's page."""
    lines = [_line(f"{action} refuses", rule) for action, rule in corrections.all_refusals()]
    for corrected in corrected_classes():
        lines += [_line(f"{corrected.__qualname__}.{name}", rule) for name, rule in corrections.rules_of(corrected)]
    return "".join(lines)


def _line(subject: str, rule: corrections.Rule) -> str:
    return f"{subject}: {rule.statement} [https://docs.aws.amazon.com/{rule.source}]\n"
