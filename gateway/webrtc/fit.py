"""Events as data channel messages: below the limit of the channel, whatever a tool has returned. Pure."""

import json
from typing import Any, Final

_MARK: Final = "…"
_SPARE_BYTES: Final = 64
"""For the mark, the flag, and what JSON adds to escape."""


def fit(message: bytes, limit_bytes: int) -> str:
    """``message`` (a JSON object) as text of at most ``limit_bytes`` in UTF-8.

    Where it is longer, its longest texts are cut, end in ``…``, and ``"truncated": true`` is added.
    """
    if len(message) <= limit_bytes:
        return message.decode()
    fields: dict[str, Any] = json.loads(message)
    fields["truncated"] = True
    while True:
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        excess = len(text.encode()) - limit_bytes
        longest = max((name for name, value in fields.items() if isinstance(value, str)), key=lambda n: len(fields[n]))
        if excess <= 0 or len(fields[longest]) <= len(_MARK):
            return text
        keep = max(0, len(fields[longest]) - excess - _SPARE_BYTES)
        fields[longest] = fields[longest][:keep] + _MARK
