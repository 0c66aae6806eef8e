"""Every endpoint of every service is checked against its OpenAPI: with and without tokens, real ids and others.

Every response is one that the document describes; an error is a problem document and never a 5xx.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
import schemathesis
from cinema import Cinema
from contracts.registry import SERVICES
from facts import Facts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from invariants import at_rest, violations
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 15
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "correlation_id"}
Headers = dict[str, str]


@dataclass
class Known:
    """The callers, existing ids by parameter name, and the number of responses by status."""

    callers: list[Headers]
    ids: dict[str, str]
    answers: Counter[int] = field(default_factory=Counter)


@pytest.fixture(scope="module")
async def known(arena: Cinema) -> Known:
    """Make two sales to a guest, one of them not paid yet."""
    guest, admin, customer = arena.guest(), await arena.person("admin"), await arena.person()
    showtime_id, seats = await arena.seats(2)
    held = await guest.hold(showtime_id, seats[:1])
    sold = await guest.buy(showtime_id, seats[1:], "guest@usher.example")
    booking = await guest.settled(sold, "confirmed")
    block = await admin.call(
        "POST", f"/api/showtimes/{(await arena.seats(1))[0]}/blocks", json={"seats": ["A1"], "reason": "broken"}
    )
    showtime = await guest.call("GET", f"/api/showtimes/{showtime_id}")
    ids = {name: showtime[name] for name in ("movie_id", "theater_id", "auditorium_id") if name in showtime}
    ids |= {"showtime_id": showtime_id, "hold_id": held["hold_id"], "booking_id": sold["hold_id"]}
    ids |= {"ticket_id": booking["tickets"][0]["ticket_id"], "block_id": block["block_id"]}
    callers = [
        {},
        admin.headers,
        customer.headers,
        {"X-Hold-Secret": held["secret"]},
        {"X-Hold-Secret": sold["secret"]},
        {"Authorization": "Bearer no-token"},
        admin.headers | {"Idempotency-Key": "the-same-key-always"},
    ]
    return Known(callers, ids)


@schemathesis.check
def errors_are_problems(_: CheckContext, response: Response, case: Case) -> None:
    """Check RFC 9457, whatever the status."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = response.json()
    assert problem.keys() >= PROBLEM_MEMBERS
    assert problem["status"] == response.status_code
    if "idempotent-replayed" not in response.headers:
        assert problem["correlation_id"] == response.headers["x-correlation-id"][0]


CHECKS = [
    not_a_server_error,
    errors_are_problems,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def failures(url: str, known: Known) -> Iterator[str]:
    """Return what is wrong with the endpoints at this address."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [operation for path in schema for operation in schema[path].values()]
    for operation, mode in product(operations, GenerationMode):
        try:
            _try(url, operation.as_strategy(generation_mode=mode), known)
        except Unsatisfiable:
            assert mode.is_negative, operation.label  # without parameters there is no invalid request
        except (Exception, FailureGroup) as failure:
            yield f"{operation.label} ({mode}): {failure}"


def _try(url: str, cases: st.SearchStrategy[Case], known: Known) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=SLOW)
    @given(cases, st.sampled_from(known.callers), st.booleans())
    def ask(case: Case, caller: Headers, is_real: bool) -> None:
        if is_real:
            for part in (case.path_parameters, case.query, case.body):
                _make_real(part, known.ids)
        case.headers.update(caller)
        response = case.call(url, timeout=20)
        known.answers[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    ask()


def _make_real(part: Any, ids: dict[str, str]) -> None:
    if isinstance(part, dict):
        part.update({name: ids[name] for name in part if name in ids})


@pytest.mark.parametrize("service", SERVICES)
def test_an_endpoint_answers_whatever_is_sent(arena: Cinema, known: Known, service: str):
    port = arena.platform.ports[f"{service.upper()}_PORT"]
    known.answers.clear()
    found = list(failures(f"http://127.0.0.1:{port}", known))
    print(service, dict(sorted(known.answers.items())))
    assert not found, "\n\n".join(found)


async def test_all_that_has_broken_nothing(arena: Cinema):
    now: Facts = await at_rest(arena.platform.env)
    assert violations(now) == []
