"""Malformed requests as raw bytes: each answer is a problem document, and no log has a query string."""

from __future__ import annotations

import json
import socket
from http.client import HTTPResponse
from typing import Any

import pytest
from launcher.platform import Platform

HEAD = b" HTTP/1.1\r\nHost: usher.example\r\nConnection: close\r\n"
MALFORMED = {
    "a NUL in the path": (400, b"GET /api/a%00?token=hush" + HEAD + b"\r\n"),
    "a wrong escape": (400, b"GET /api/%zz?token=hush" + HEAD + b"\r\n"),
    "spaces and quotes in the query": (400, b'GET /api/movies?a=b "c", host: hush' + HEAD + b"\r\n"),
    "a control character in the path": (400, b"GET /api/\x01?token=hush" + HEAD + b"\r\n"),
    "a path above the root": (400, b"GET /../../etc/passwd?token=hush" + HEAD + b"\r\n"),
    "an address of 9 KB": (414, b"GET /api/movies?token=hush&q=" + b"a" * 9000 + HEAD + b"\r\n"),
    "a header of 9 KB": (431, b"GET /api/movies?token=hush" + HEAD + b"X-Long: " + b"a" * 9000 + b"\r\n\r\n"),
    "a header's name with a space": (400, b"GET /api/movies?token=hush" + HEAD + b"X Y: z\r\n\r\n"),
    "a header's value with a NUL": (400, b"GET /api/movies?token=hush" + HEAD + b"X-Y: \x00\r\n\r\n"),
    "a host with a space": (400, b"GET /api/movies?token=hush HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "two hosts": (400, b"GET /api/movies?token=hush" + HEAD + b"Host: evil.example\r\n\r\n"),
    "no host": (400, b"GET /api/movies?token=hush HTTP/1.1\r\n\r\n"),
    "a method in lower case": (400, b"get /api/movies?token=hush" + HEAD + b"\r\n"),
    "CONNECT": (400, b"CONNECT evil.example:443" + HEAD + b"\r\n"),
    "CONNECT to a path": (405, b"CONNECT /api/movies?token=hush" + HEAD + b"\r\n"),
    "TRACE": (405, b"TRACE /api/movies?token=hush" + HEAD + b"\r\n"),
    "POST to a file": (405, b"POST /docs?token=hush" + HEAD + b"Content-Length: 0\r\n\r\n"),
    "TLS on the plain port": (400, bytes.fromhex("16030100a5010000a10303") + bytes(160)),
    "HTTP/2 on the plain port": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a version that does not exist": (505, b"GET /api/movies?token=hush HTTP/3.0\r\nHost: x\r\n\r\n"),
    "an unknown transfer encoding": (501, b"POST /api/movies?token=hush" + HEAD + b"Transfer-Encoding: x\r\n\r\n"),
    "a body with two lengths": (
        400,
        b"POST /api/movies?token=hush" + HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
    ),
    "a chunk without a length": (
        400,
        b"POST /api/movies?token=hush" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nhush\r\n",
    ),
    "a negative length": (400, b"POST /api/movies?token=hush" + HEAD + b"Content-Length: -1\r\n\r\n"),
    "a length of 100 GB": (413, b"POST /api/movies?token=hush" + HEAD + b"Content-Length: 100000000000\r\n\r\n"),
    "a range that a file does not have": (416, b"GET /docs?token=hush" + HEAD + b"Range: bytes=9999999-\r\n\r\n"),
    "a version that a file does not have": (412, b"GET /docs?token=hush" + HEAD + b'If-Match: "x"\r\n\r\n'),
    "a method that does not exist": (405, b"FOO /api/movies?token=hush" + HEAD + b"\r\n"),
    "a query that is not ASCII": (400, b"GET /api/movies?q=\xc3\xa9&token=hush" + HEAD + b"\r\n"),
    "a path that is not ASCII": (400, b"GET /api/\xff\xfe?token=hush" + HEAD + b"\r\n"),
    "a folder": (404, b"GET /assets/?token=hush" + HEAD + b"\r\n"),
}
CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    412: "precondition_failed",
    413: "too_large",
    414: "address_too_long",
    416: "range_not_satisfiable",
    431: "headers_too_large",
    501: "not_implemented",
    505: "http_version_not_supported",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_each_answer_is_a_problem_document(gateway: Platform, case: str):
    status, request = MALFORMED[case]
    answer, body = _send(gateway.ports["GATEWAY_PORT"], request)
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    problem = json.loads(body)
    assert problem.pop("title")
    assert problem.pop("detail")
    assert problem == {
        "type": f"urn:usher:problem:{CODES[status]}",
        "status": status,
        "code": CODES[status],
        "correlation_id": answer.headers["X-Correlation-Id"],
    }


def test_the_address_of_the_problems_is_not_public(gateway: Platform):
    assert _send(gateway.ports["GATEWAY_PORT"], b"GET /.problem" + HEAD + b"\r\n")[0].status == 404


@pytest.mark.parametrize("address", ["/assets/folder", "//assets/folder", "//evil.example/docs"])
def test_a_redirect_never_names_the_host_that_the_client_sends(gateway: Platform, address: str):
    answer, _ = _send(gateway.ports["GATEWAY_PORT"], f"GET {address}".encode() + HEAD + b"\r\n")
    location = answer.headers["Location"] or "/"
    assert location.startswith("/")
    assert not location.startswith("//")
    assert answer.status == (301 if "folder" in address else 404)


def test_no_log_has_a_query_string(gateway: Platform):
    """The upstream is away, so that nginx also writes an error with the request in it."""
    port = gateway.ports["GATEWAY_PORT"]
    for _, request in MALFORMED.values():
        _send(port, request)
    with Platform(only={"gateway"}) as alone:
        referer = b'Referer: https://usher.example/?a="b" c=hush\r\n'
        for query in (b"", b"?token=hush", b'?a="&token="hush"'):
            request = b"GET /api/movies" + query + HEAD + referer + b"\r\n"
            assert _send(alone.ports["GATEWAY_PORT"], request)[0].status == 502
        alone.stop("gateway")  # it writes its log now
        failed = _lines(alone)
    gateway.stop("gateway")
    gateway.start("gateway")
    seen = _lines(gateway)
    assert [line for line in failed + seen if "hush" in json.dumps(line)] == []
    errors = [line["event"] for line in failed if "Connection refused" in line["event"]]
    assert errors
    assert all(f'upstream: "http://127.0.0.1:{alone.ports["CATALOG_PORT"]}' in each for each in errors)
    assert {line["method"] for line in seen if line["status"] == 405} >= {"CONNECT", "TRACE", "POST"}


def _send(port: int, request: bytes) -> tuple[HTTPResponse, bytes]:
    """Returns the first answer to these bytes, with its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer, answer.read()


def _lines(platform: Platform) -> list[dict[str, Any]]:
    return [{"status": 0, **json.loads(line)} for line in platform.log("gateway").read_bytes().splitlines()]
