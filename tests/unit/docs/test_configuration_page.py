"""``docs/configuration.md`` is what ``scripts/configuration.py`` makes of the settings."""

from scripts.configuration import PAGE, page
from voicegate.settings import Settings, variable


def test_the_page_is_that_of_the_settings() -> None:
    assert PAGE.read_text() == page(), "run: python scripts/configuration.py"


def test_every_setting_has_its_row() -> None:
    for name in Settings.model_fields:
        assert f"| `{variable(name)}` |" in page()
