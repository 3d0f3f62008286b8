"""Entity tags (RFC 9110 section 8.8.3), and the If-Match of those who change something.

Rows that count their changes have the count as their tag, others a digest of what is shown.
"""

import hashlib
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from control_api.problems import Problem

IfMatch = Annotated[
    str | None, Header(max_length=100, description="The ETag that was read; `*` to overwrite whatever is there.")
]
"""What the client has read. Give it the default None."""


def entity_tag(revision: int) -> str:
    """The tag of a row's revision."""
    return f'"r{revision}"'


def content_tag(shown: BaseModel) -> str:
    """The tag of what is shown."""
    return f'"c{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


def expect_revision(if_match: str | None, current: int) -> None:
    """Refuse the change of something that has changed.

    Raises:
        Problem: ``precondition_required`` without an If-Match, ``precondition_failed`` with another tag.
    """
    _expect(if_match, entity_tag(current))


def expect_content(if_match: str | None, current: BaseModel) -> None:
    """As :func:`expect_revision`, for what has no revision."""
    _expect(if_match, content_tag(current))


def _expect(if_match: str | None, current: str) -> None:
    if if_match is None:
        raise Problem("precondition_required", "Read it first, and send its ETag as If-Match.")
    given = [tag.strip() for tag in if_match.split(",")]
    if "*" not in given and current not in given:
        raise Problem("precondition_failed", "It was changed meanwhile: read it again.", headers={"ETag": current})
