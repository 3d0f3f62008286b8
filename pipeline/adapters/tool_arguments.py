"""A tool's arguments against the JSON Schema of its parameters. PURE.

Of JSON Schema (2020-12) we take what describes flat arguments: ``type``, ``enum``, ``minimum``, ``maximum``,
``maxLength``, ``items`` with a ``type``, ``required``. Regular expressions and references are left out on purpose: a
schema comes from a customer, is applied beside other customers' calls, and must not be able to take for ever.
"""

from collections.abc import Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}
_WORDS: Final = {"true": True, "yes": True, "false": False, "no": False}


def fitted(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the schema wants them, where that is only a matter of notation: ``"42"`` for an integer, ``7``
    for a string, ``"yes"`` for a boolean. Null is left out, and so is what the schema does not know."""
    parts = schema.get("properties", {})
    return {
        name: _fitted(parts[name], value) for name, value in arguments.items() if name in parts and value is not None
    }


def complaints(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """Why :func:`fitted` arguments cannot be used, each with the parameter's name; empty if they can."""
    parts = schema.get("properties", {})
    absent = [f"{name}: it is missing" for name in schema.get("required", ()) if name not in arguments]
    wrong = [f"{name}: {why}" for name, value in arguments.items() if (why := _complaint(parts[name], value))]
    return absent + wrong


def _fitted(part: Mapping[str, Any], value: Any) -> Any:
    match part.get("type"), value:
        case "string", bool():
            return value
        case "string", int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case "integer" | "number", str():
            return _number(value)
        case "integer", float() if value.is_integer():
            return int(value)
        case "boolean", str():
            return _WORDS.get(value.strip().lower(), value)
        case _:
            return value


def _number(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text


def _complaint(part: Mapping[str, Any], value: Any) -> str:
    kind = str(part.get("type"))
    if not _is(kind, value):
        return f"it must be of type {kind}"
    if part.get("enum") is not None and value not in part["enum"]:
        return f"it must be one of {', '.join(map(str, part['enum']))}"
    return _out_of_bounds(part, value)


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool) and kind != "boolean":  # Python counts it among the integers
        return False
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return False  # JSON has no such numbers
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return False  # half a character, which nothing can send
    return isinstance(value, _TYPES.get(kind, ()))


def _out_of_bounds(part: Mapping[str, Any], value: Any) -> str:
    match value:
        case bool():
            return ""
        case int() | float():
            low, high = part.get("minimum"), part.get("maximum")
            if (low is not None and value < low) or (high is not None and value > high):
                return f"it must be between {low} and {high}"
        case str() if part.get("maxLength") is not None and len(value) > part["maxLength"]:
            return f"it must have at most {part['maxLength']} characters"
        case list() if any(not _is(part.get("items", {}).get("type", "string"), each) for each in value):
            return f"it must hold values of type {part.get('items', {}).get('type', 'string')}"
    return ""
