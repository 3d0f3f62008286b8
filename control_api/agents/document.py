"""Agents as YAML files: what an export gives, an import takes. PURE."""

from typing import Any

import yaml
from pydantic import ValidationError

from control_api.agents.configuration import AgentConfiguration, AgentDocument
from control_api.problems import Problem, validation_pointers

MAX_BYTES = 256 * 1024
"""The parser is slow: a document of this size takes it some tenths of a second."""


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)


def to_yaml(name: str, configuration: AgentConfiguration) -> str:
    """The document; what has its default is left out."""
    document = AgentDocument(name=name, configuration=configuration)
    plain = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    whole = {"format": document.format, "configuration": {}} | plain
    ordered = {key: whole[key] for key in ("format", "name", "configuration")}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(data: bytes) -> AgentDocument:
    """The agent of a document.

    Raises:
        Problem: ``too_large``, ``malformed`` (not YAML), ``invalid`` (not an agent).
    """
    if len(data) > MAX_BYTES:
        raise Problem("too_large", f"A document has at most {MAX_BYTES} bytes.")
    try:
        found = yaml.load(data, _PlainLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Problem("malformed", f"The document is not YAML: {_first_line(error)}") from None
    try:
        return AgentDocument.model_validate(found)
    except ValidationError as error:
        raise Problem("invalid", "The document is not an agent.", errors=validation_pointers(error, "/body")) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
