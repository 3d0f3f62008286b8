"""What must never reach a log: secrets under any key and in any text, and what people said.

Both are structlog processors, run on every record. What a person said goes under the key ``pii`` and is dropped unless
the operator turned it on; the usual names of such texts are dropped everywhere else, so that a slip does not leak.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

REDACTED: Final = "[redacted]"

_SECRET_WORDS: Final = frozenset(
    {"authorization", "token", "secret", "secrets", "password", "passwd", "apikey", "cookie", "credential", "signature"}
)
_SECRET_NAMES: Final = frozenset({"api_key", "api_keys", "sec_websocket_protocol", "set_cookie", "private_key"})
_SPOKEN_NAMES: Final = frozenset({"text", "transcript", "utterance", "heard", "cut", "said", "prompt", "answer"})

_SECRET_TEXT: Final = re.compile(
    r"""(?xi)
    (?<=\bbearer\s)\S+                                        # an Authorization header's value
    | (?<=\bbasic\s)[A-Za-z0-9+/=]{8,}
    | (?<=voicegate\.token\.)[^\s,"']+                        # a subprotocol entry
    | \bvg1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+                   # our own tokens
    | \b(?:sk|pk|rk|xi|ghp|xox[a-z])[-_][A-Za-z0-9_-]{16,}    # vendors' keys
    | (?<=[?&]token=)[^&\s"']+ | (?<=[?&]key=)[^&\s"']+ | (?<=[?&]api_key=)[^&\s"']+
    | (?<=[?&]access_token=)[^&\s"']+
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                         # user and password in an address
    """
)

_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


class RedactSecrets:
    """Replaces values of secret names, and secrets inside any other text, by ``[redacted]``."""

    def __call__(self, _logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in record.items():
            record[name] = REDACTED if _is_secret(name) else _clean(value)
        return record


class KeepPrivate:
    """Drops what people said: ``pii`` unless ``allowed``, and the usual names of spoken text outside it always."""

    def __init__(self, *, allowed: bool) -> None:
        self._allowed = allowed

    def __call__(self, _logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if not self._allowed:
            record.pop("pii", None)
        for name in _SPOKEN_NAMES.intersection(record):
            del record[name]
        return record


def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    return "_".join(words) in _SECRET_NAMES or not _SECRET_WORDS.isdisjoint(words)


def _clean(value: Any) -> Any:
    match value:
        case str():
            return _SECRET_TEXT.sub(REDACTED, value)
        case bytes():
            return _SECRET_TEXT.sub(REDACTED, value.decode(errors="replace"))
        case Mapping():
            return {name: REDACTED if _is_secret(str(name)) else _clean(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _SECRET_TEXT.sub(REDACTED, str(value))
