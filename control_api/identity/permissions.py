"""Who may do what: the one table. ``contract/permissions.json`` is generated from it for the frontend."""

import json
from collections.abc import Mapping
from typing import Final, get_args

from control_api.db.models.model import UserRole

ROLES: Final[tuple[UserRole, ...]] = get_args(UserRole)

_ALL: Final = frozenset(ROLES)
_LEADERS: Final[frozenset[UserRole]] = frozenset({"owner", "admin"})
_BUILDERS: Final[frozenset[UserRole]] = _LEADERS | {"developer"}
_CALLERS: Final[frozenset[UserRole]] = _BUILDERS | {"agent"}
_READERS: Final[frozenset[UserRole]] = _CALLERS | {"analyst"}

PERMISSIONS: Final[Mapping[str, frozenset[UserRole]]] = {
    "profile:read": _ALL,
    "permissions:read": _ALL,
    "organization:read": _ALL,
    "organization:write": _LEADERS,
    "members:read": _LEADERS | {"billing"},
    "api-keys:read": _BUILDERS,
    "api-keys:write": _LEADERS,
    "agents:read": _READERS,
    "agents:write": _BUILDERS,
    "agents:publish": _BUILDERS,
    "agents:performance": _LEADERS,
    "notifications:read": _ALL,
    "agent-runs:read": _READERS,
    "agent-runs:create": _CALLERS,
    "analytics:read": _BUILDERS | {"analyst", "billing"},
    "agents:chat": _CALLERS,
    "tools:read": _READERS,
    "tools:write": _BUILDERS,
    "tools:test": _BUILDERS,
    "handoffs:read": _READERS,
    "handoffs:write": _BUILDERS,
    "sessions:create": _CALLERS,
    "conversations:read": _READERS,
    "conversations:write": _CALLERS,
    "conversations:command": _CALLERS,
    "conversations:erase": _LEADERS,
    "credits:read": _BUILDERS | {"analyst", "billing"},
    "credits:grant": _LEADERS | {"billing"},
}
"""Permission: the roles that have it. An API key has those of its scopes, which are permissions too."""

PERSONAL: Final = frozenset({"profile:read"})
"""Permissions that make sense for a person only; no API key has them."""

SCOPES: Final = tuple(sorted(PERMISSIONS.keys() - PERSONAL))


def of_role(role: UserRole) -> frozenset[str]:
    """All permissions of a role."""
    return frozenset(name for name, roles in PERMISSIONS.items() if role in roles)


def document() -> str:
    """``contract/permissions.json``."""
    table = {name: [role for role in ROLES if role in roles] for name, roles in PERMISSIONS.items()}
    return json.dumps({"roles": list(ROLES), "permissions": table, "scopes": list(SCOPES)}, indent=2) + "\n"
