"""The checks that every token must pass, whoever issued it. PURE."""

from collections.abc import Mapping, Sequence
from typing import Any

from control_api.problems import Problem

MAX_TOKEN_BYTES = 8_192
LEEWAY_S = 15
"""Clocks differ; Auth.js allows as much (``clockTolerance``)."""


def refused(why: str) -> Problem:
    """A token that is not good. The reason helps the honest and tells a forger nothing he could not try."""
    return Problem("unauthorized", f"The token is not good: {why}.")


def check_times(claims: Mapping[str, Any], now_s: float) -> None:
    """``exp`` must be there and ahead, ``nbf`` and ``iat`` must not be.

    Raises:
        Problem: ``unauthorized``.
    """
    expires = _number(claims, "exp")
    if expires is None:
        raise refused("it never expires")
    if expires + LEEWAY_S <= now_s:
        raise refused("it has expired")
    for name in ("nbf", "iat"):
        begins = _number(claims, name)
        if begins is not None and begins - LEEWAY_S > now_s:
            raise refused("it is not valid yet")


def check_audience(claims: Mapping[str, Any], wanted: str) -> None:
    """``aud`` must be ``wanted``, or a list with it (RFC 7519 section 4.1.3).

    Raises:
        Problem: ``unauthorized``.
    """
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    if wanted not in audiences:
        raise refused("it is for another audience")


def check_issuer(claims: Mapping[str, Any], wanted: str) -> None:
    """``iss`` must be exactly ``wanted``."""
    if claims.get("iss") != wanted:
        raise refused("it is of another issuer")


def check_type(header: Mapping[str, Any], allowed: Sequence[str | None]) -> None:
    """``typ`` of the header, without regard to case (RFC 7515 section 4.1.9). None: it may be missing."""
    given = header.get("typ")
    kind = given.lower().removeprefix("application/") if isinstance(given, str) else given
    if kind not in allowed:
        raise refused("it is of another type")


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(f"its {name} is not a number")
    return float(value)
