"""Proves the text of the warning of a replacement. tests/engine/test_changes.py proves that it appears at preview."""

from components.resources.announcement import replacement_text


def test_the_warning_names_the_gateway_all_reasons_and_what_stays() -> None:
    text = replacement_text("uk", ["psk", "peer au"])
    assert text.startswith("uk-gateway will be replaced because of another psk, peer au. Until")
    assert text.endswith("Its addresses and routes stay.")


def test_reasons_that_are_still_unknown_are_left_out() -> None:
    assert replacement_text("uk", []).startswith("uk-gateway will be replaced. Until")
