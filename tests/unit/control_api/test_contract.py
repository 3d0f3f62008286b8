"""The contract in the repository is the one that is served, and it is complete."""

import json
import re
from typing import Any

from control_api.identity.permissions import PERMISSIONS
from control_api.notifications.socket import READ as NOTIFICATIONS
from scripts.contract import CONTRACT, files

METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> list[dict[str, Any]]:
    document = json.loads((CONTRACT / "openapi.json").read_text())
    return [operation for path in document["paths"].values() for name, operation in path.items() if name in METHODS]


def test_the_files_are_those_that_the_code_makes() -> None:
    for path, text in files().items():
        assert path.read_text() == text, "run: python scripts/contract.py"


def test_names_of_operations_differ_and_read_well() -> None:
    names = [operation["operationId"] for operation in operations()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][A-Za-z]+\.[a-z][A-Za-z]+", name) for name in names)


def test_every_operation_says_who_may_use_it() -> None:
    for operation in operations():
        permission = operation["x-permission"]
        assert permission == "public" or permission in PERMISSIONS, operation["operationId"]
        if permission == "public":
            assert operation["security"] == []
        else:
            assert operation["security"] == [{"bearer": []}]


def test_every_permission_is_used() -> None:
    over_a_socket = {NOTIFICATIONS}  # OpenAPI knows no WebSockets
    used = {operation["x-permission"] for operation in operations()} - {"public"}
    assert used | over_a_socket == set(PERMISSIONS)


def test_every_operation_documents_its_problems() -> None:
    for operation in operations():
        if operation["tags"] == ["health"] or operation["operationId"] == "auth.jwks":
            continue
        wanted = {"400", "413", "422", "429", "503"} | (
            {"401", "403"} if operation["x-permission"] != "public" else set()
        )
        assert wanted <= operation["responses"].keys(), operation["operationId"]
        for status in wanted:
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
        described = operation.get("description", "")
        assert described.strip().endswith((".", "…")), f"{operation['operationId']} is described"


def test_fields_are_in_camel_case() -> None:
    document = json.loads((CONTRACT / "openapi.json").read_text())
    for name, schema in document["components"]["schemas"].items():
        for field in schema.get("properties", {}):
            assert "_" not in field, f"{name}.{field}"
