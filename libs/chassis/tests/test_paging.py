"""Cursors: an encoded key decodes to itself, anything else is a problem."""

import base64

import pytest
from chassis.http.paging import CursorInvalid, decode_cursor, encode_cursor


def test_a_cursor_is_read_as_it_was_written():
    assert decode_cursor(encode_cursor("2026-01-01", 7), str, int) == ["2026-01-01", 7]
    assert decode_cursor(None, str) is None


FORGED = [base64.urlsafe_b64encode(raw).decode() for raw in (b'"a"', b"\xff", b'["\\ud800"]', b"{", b"[" * 5000)]


@pytest.mark.parametrize("cursor", ["x", "%%%", "é", encode_cursor("a", "b"), encode_cursor(1), *FORGED])
def test_any_other_text_is_a_problem(cursor):
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, str)
