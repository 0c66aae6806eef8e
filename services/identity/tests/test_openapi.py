"""The OpenAPI document has everything that a client needs."""

import pytest
from contracts.errors import Problem
from identity.model import problems


@pytest.fixture
async def document(client):
    return (await client.get("/openapi.json")).json()


def operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_every_operation_has_a_description_and_its_problems(document):
    for name, operation in operations(document):
        assert operation.get("description"), name
        assert operation["tags"], name
        for status, answer in operation["responses"].items():
            if status in {"401", "403", "404", "409", "410", "422", "429", "503"}:
                assert "application/problem+json" in answer["content"], (name, status)


async def test_operations_that_require_a_sign_in_document_it(document):
    for name, operation in operations(document):
        if operation.get("security"):
            codes = ["token_invalid"] if name == "POST /api/auth/verify-email" else ["unauthenticated"]
            assert [code for code in codes if f"`{code}`" in operation["responses"]["401"]["description"]] == codes, (
                name
            )


async def test_every_problem_is_documented(document):
    told = str([operation["responses"] for _, operation in operations(document)])
    known = [each for each in vars(problems).values() if isinstance(each, type) and issubclass(each, Problem)]
    assert not [each.code for each in known if each.__module__ == problems.__name__ and f"`{each.code}`" not in told
                and each is not problems.IdentityProblem]  # fmt: skip


async def test_every_text_has_an_example(document):
    schemas = document["components"]["schemas"]
    without = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, told in schema.get("properties", {}).items()
        if not _shows(told, schemas)
        and name not in {"ProblemDocument", "HTTPValidationError", "ValidationError"}
        and not name.startswith("contracts__")
    ]
    assert without == []


def _shows(told, schemas):
    """Whether the value is clear: from an example, a default or the type."""
    if told.keys() & {"examples", "default", "enum", "const", "pattern", "$ref"} or told.get("format") == "date-time":
        return True
    if told.get("type") in {"boolean", "integer", "number"}:
        return True
    parts = told.get("anyOf", []) + ([told["items"]] if "items" in told else [])
    return bool(parts) and all(part.get("type") == "null" or _shows(part, schemas) for part in parts)
