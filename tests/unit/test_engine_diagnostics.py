"""Proves the order of `pulumi`'s output in a failed engine test. Does not prove what `pulumi` prints (tests/engine)."""

from tests.engine.diagnostics import causes_last

UP = """\
 +  command:remote:Command vpn-verify-uk **creating failed** error
Diagnostics:
  command:remote:Command (vpn-verify-uk):
    error: failed         peer          UDP 4500 is silent

  pulumi:pulumi:Stack (vpn-gateway-pair-lab):
    Traceback (most recent call last):
      File "__main__.py"

  command:remote:Command (vpn-verify-au):
    error: failed         ike           the pre-shared keys differ
"""


def test_the_programs_traceback_comes_before_the_resources_messages() -> None:
    lines = causes_last(UP).splitlines()
    order = [line for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert order == [
        "  pulumi:pulumi:Stack (vpn-gateway-pair-lab):",
        "  command:remote:Command (vpn-verify-uk):",
        "  command:remote:Command (vpn-verify-au):",
    ]
    assert lines[-1] == "    error: failed         ike           the pre-shared keys differ"


def test_no_line_is_lost_and_output_without_diagnostics_stays_unchanged() -> None:
    assert sorted(causes_last(UP).splitlines()) == sorted(UP.splitlines())
    assert causes_last("error: no stack selected\n") == "error: no stack selected\n"
