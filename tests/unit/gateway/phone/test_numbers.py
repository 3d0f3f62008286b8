"""Numbers to agents."""

import pytest

from gateway.phone.numbers import read_numbers
from voicegate.kernel.errors import ConfigError

PLAN = "+1 (555) 123-4567=sales, 4420=support ,sip:help@example.com=help,*=default"


@pytest.mark.parametrize(
    ("called", "agent"),
    [
        ("+15551234567", "sales"),
        ("15551234567", "sales"),
        ("4420", "support"),
        ("sip:help@example.com", "help"),
        ("+15550000000", "default"),
        ("", "default"),
        ("anonymous", "default"),
    ],
)
def test_who_answers(called: str, agent: str) -> None:
    assert read_numbers(PLAN).agent_for(called) == agent


def test_without_a_plan_the_default_agent_answers() -> None:
    assert read_numbers(" ").agent_for("+15551234567") == ""
    assert read_numbers("+1=a").agent_for("+2") == ""


@pytest.mark.parametrize("text", ["+1555", "=sales", "+1555=", "+1555=a,1555=b"])
def test_what_is_no_plan_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"number"):
        read_numbers(text)
