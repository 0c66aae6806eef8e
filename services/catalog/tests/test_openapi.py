"""The OpenAPI document has everything that a client needs."""

import pytest
from chassis.http.problems import MEDIA_TYPE


@pytest.fixture
def operations(client):
    """All operations by address, and the schemas."""
    from catalog.main import app  # noqa: PLC0415 - it is running by now

    document = app.openapi()
    found = [
        (f"{method} {path}", each) for path, methods in document["paths"].items() for method, each in methods.items()
    ]
    return found, document["components"]["schemas"]


def test_every_operation_has_a_description_and_its_errors(operations):
    for name, operation in operations[0]:
        assert operation["description"], name
        expected = {"401", "403"} if operation.get("security") else set()
        if not name.startswith("get") or "{" in name:
            expected |= {"422"}
        assert expected <= operation["responses"].keys(), name
        for status, answer in operation["responses"].items():
            if status[0] in "45":
                assert MEDIA_TYPE in answer["content"], (name, status)
                assert answer["description"], (name, status)


def test_public_operations_document_304(operations):
    for name, operation in operations[0]:
        if name.startswith("get /api/movies") and not operation.get("security"):
            assert "304" in operation["responses"], name


def test_request_fields_have_examples(operations):
    found, schemas = operations
    for name, operation in found:
        if not {"movies", "genres", "reviews", "imports"} & set(operation["tags"]):
            continue
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            schema = schemas.get(content["schema"].get("$ref", "").rpartition("/")[2], {})
            fields = schema.get("properties", {}).values()
            has_example = "example" in content or "examples" in schema or any("examples" in each for each in fields)
            assert has_example or kind.startswith("image/"), name
