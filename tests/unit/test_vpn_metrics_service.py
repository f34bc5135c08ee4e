"""The service vpn-metrics from one minute to the next, and what vpn-verify says of its record."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_vpn_metrics import EMPTY, SETTINGS
from vpn_metrics import __main__ as service
from vpn_metrics.data import Datum
from vpn_metrics.settings import Settings
from vpn_verify.layer import LayerError
from vpn_verify.metrics import metrics


def _layer(record: str, *, now: float = 0) -> str:
    """Return what vpn-verify says of vpn-metrics' record."""
    try:
        return metrics(record, now)
    except LayerError as error:
        return str(error.args[0])


def test_the_layer_holds_once_a_minute_was_published_in_which_every_tunnel_was_up_and_no_layer_failed() -> None:
    up = json.dumps({"published": 1000, "well_since": 1000, "down": [], "layers_failed": 0})
    assert _layer(up, now=1060) == "published 60 s ago"
    # 1020 is the next whole minute of the clock.
    assert _layer(up, now=1019.9) == "the first minute of the clock with data is not over yet"
    assert _layer(up, now=1020) == "published 20 s ago"
    later = json.dumps({"published": 1060, "well_since": 1000, "down": [], "layers_failed": None})
    assert _layer(later, now=1061) == "published 1 s ago"
    assert _layer(up, now=1151) == "published nothing for 151 s"
    fault = json.dumps({"published": 1000, "down": [], "layers_failed": 1})
    assert _layer(fault, now=1060) == "the last minute was published with LayersFailed 1"
    assert _layer("") == "vpn-metrics has not published yet: it does so once a minute"


def test_a_minute_that_fails_is_told_once_and_the_next_is_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcomes: list[Any] = [OSError("no route"), OSError("no route"), None, None, KeyboardInterrupt()]
    told = []

    def publish(settings: Settings, data: Any) -> None:
        if service.RECORD.exists():
            told.append(_layer(service.RECORD.read_text()))
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    down = Datum("TunnelUp", 0, "None", "uk-to-au")
    monkeypatch.setattr(service, "RECORD", tmp_path / "last.json")
    monkeypatch.setattr(service, "read_settings", lambda: SETTINGS)
    data = [down, Datum("TunnelUp", 1, "None", "uk-to-us"), Datum("LayersFailed", 2, "Count")]
    monkeypatch.setattr(service, "collect", lambda *_: (data, EMPTY))
    monkeypatch.setattr("vpn_metrics.__main__.cloudwatch.publish", publish)
    monkeypatch.setattr("vpn_metrics.__main__.time.sleep", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        service.main()
    assert capsys.readouterr().out.splitlines() == ["no route", "published again"]
    assert told == ["no route", "no route", *2 * ["the last minute was published with uk-to-au down"]]
    assert json.loads(service.RECORD.read_text())["layers_failed"] == 2


def test_all_is_well_since_the_first_minute_in_a_row_that_was_published_without_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    up, down = (Datum("TunnelUp", value, "None", "uk-to-au") for value in (1, 0))
    minutes = iter([[down], [up], [up], [up, Datum("LayersFailed", 1, "Count")], [up], OSError(), [up], [up]])
    seen, clock = list[float | None](), iter(range(100))

    def collect(*_: Any) -> Any:
        if service.RECORD.exists():
            seen.append(json.loads(service.RECORD.read_text()).get("well_since"))
        found = next(minutes, KeyboardInterrupt())
        if isinstance(found, BaseException):
            raise found
        return found, EMPTY

    monkeypatch.setattr(service, "RECORD", tmp_path / "last.json")
    monkeypatch.setattr(service, "read_settings", lambda: SETTINGS)
    monkeypatch.setattr(service, "collect", collect)
    monkeypatch.setattr("vpn_metrics.__main__.cloudwatch.publish", lambda *_: None)
    monkeypatch.setattr("vpn_metrics.__main__.time.sleep", lambda _: None)
    monkeypatch.setattr("vpn_metrics.__main__.time.time", lambda: next(clock))
    with pytest.raises(KeyboardInterrupt):
        service.main()
    assert seen == [None, 1, 1, None, 4, None, 5, 5]
