"""Seat layouts: text, grid, JSON, and errors with their places."""

import json
from unicodedata import normalize

import pytest
from catalog.model import CATEGORIES, COUCHES, Layout, LayoutInvalid, check_layout, format_layout, parse_layout
from contracts.catalog import Aisle, Point
from contracts.types import SeatId, hidden_in
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

HALL = """\
# The front row is short, the last one is for couples.
screen: top
focus: 3.5 3

[Stalls]
A  ..ss_ss   4-1
B  'sss_sss  5-1/2 2-6/2

[Circle]
C  wcss.llll
"""


def test_a_layout_is_read_row_by_row():
    layout = parse_layout(HALL)
    assert (len(layout.seats), layout.columns, layout.rows) == (18, 9, 4)
    placed = {seat.seat_id: (seat.category, seat.x, seat.y, seat.area) for seat in layout.seats}
    assert placed["A4"] == ("standard", 2, 0, "Stalls"), "numbered from right to left"
    assert placed["A1"] == ("standard", 6, 0, "Stalls")
    assert [seat.seat_id for seat in layout.seats if seat.row == "B"] == ["B5", "B3", "B1", "B2", "B4", "B6"]
    assert placed["B5"] == ("standard", 0.5, 1, "Stalls")
    assert placed["C1"] == ("wheelchair", 0, 3, "Circle"), "the empty line is an aisle"
    assert placed["C5"] == ("love_seat", 5, 3, "Circle"), "gaps do not count in the numbers"
    assert layout.categories == ["standard", "love_seat", "wheelchair", "companion"]
    assert layout.areas == ["Stalls", "Circle"]
    assert (layout.screen, layout.focal_point) == ("top", Point(x=3.5, y=3))
    assert layout.aisles == [
        Aisle(x=4, y=0, width=1, depth=1), Aisle(x=3.5, y=1, width=1, depth=1), Aisle(x=0, y=2, width=9, depth=1),
    ]  # fmt: skip


def test_a_byte_order_mark_and_windows_line_ends_change_nothing():
    assert parse_layout("\ufeff" + HALL.replace("\n", "\r\n")) == parse_layout(HALL)


def test_aisles_are_merged_into_few_rectangles():
    layout = parse_layout("A ss__ss\nB ss__ss\n\n\nC ss__ss\nD _ssss_\n")
    assert layout.aisles == [
        Aisle(x=2, y=0, width=2, depth=2),
        Aisle(x=0, y=2, width=6, depth=2),
        Aisle(x=2, y=4, width=2, depth=1),
        Aisle(x=0, y=5, width=1, depth=1),
        Aisle(x=5, y=5, width=1, depth=1),
    ]


@pytest.mark.parametrize(
    ("screen", "focus"), [("top", (6, 4)), ("bottom", (6, 2)), ("left", (6.5, 3)), ("right", (3.5, 3))]
)
def test_the_default_focal_point_is_two_thirds_from_the_screen(screen, focus):
    rows = "\n".join(f"{row} ..ssssssss" for row in "ABCDEF")
    layout = parse_layout(f"screen: {screen}\n{rows}")
    assert layout.focal_point == Point(x=focus[0], y=focus[1])
    assert "focus" not in format_layout(layout)


gaps = st.sampled_from(["", "'", ".", ".'", "..", "_", "__", "._", "_'", "'_."])
groups = st.sampled_from(
    [*"svrc", "ss", "ll", "llll", "wc", "cw", "wcw", "cwwc", "svr", "LL", "LLVV", "SSSS", "sRRs", "llLL"]
)
cells = st.lists(st.tuples(gaps, groups), min_size=1, max_size=8).map(
    lambda parts: "".join(gap + group for gap, group in parts)
)
rows = st.from_regex(r"[A-Z]{1,3}", fullmatch=True) | st.sampled_from(
    ["1", "2", "10", "Ж", "Ё", "א", "ᄀ", "Ω-1", "½", "a'", '"Box 3"', '"#1"', '"a:b"']
)
names = st.text(st.characters(exclude_characters="[]", categories=["L", "N", "P"]), min_size=1, max_size=40).filter(
    lambda name: not hidden_in(name) and len(normalize("NFC", name)) <= 40
)
halves = st.integers(0, 400).map(lambda number: number / 2)


@st.composite
def texts(draw):
    lines = [f"screen: {draw(st.sampled_from(['top', 'bottom', 'left', 'right']))}"] if draw(st.booleans()) else []
    if draw(st.booleans()):
        lines.append(f"focus: {draw(halves):g} {draw(halves):g}")
    areas = draw(st.lists(names, max_size=3, unique_by=lambda name: normalize("NFC", name))) or [None]
    for area in areas:
        lines += [f"[{area}]"] if area else []
        for name in draw(st.lists(rows, min_size=1, max_size=12 // len(areas), unique=True)):
            lines += draw(st.sampled_from([[], [""], ["", ""], ["# remark"], ["", "# remark"]]))
            row = draw(cells)
            seats = sum(map(row.count, [*CATEGORIES, *COUCHES]))
            numbers = draw(st.none() | st.permutations(range(seats)) | st.sampled_from(ways_of(seats)))
            lines.append(f"{name} {row} {'' if numbers is None else ' '.join(map(str, numbers))}")
    return "\n".join(lines)


def ways_of(seats):
    return [
        [f"{seats}-1"],
        [f"1-{2 * seats - 1}/2"],
        [f"{2 * seats}-2/2"],
        [f"101-{100 + seats}"],
        [*(f"7{letter}" for letter in "abcd"), *range(100, 200)][:seats],
    ]


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # the first text in any script loads Unicode's tables
@given(texts())
def test_a_layout_round_trips_through_text_and_json(text):
    layout = parse_layout(text)
    assert parse_layout(format_layout(layout)) == layout
    assert format_layout(parse_layout(format_layout(layout))) == format_layout(layout)
    as_json = layout.model_dump_json()
    assert check_layout(Layout.model_validate_json(as_json)) == layout
    assert len({(seat.x, seat.y) for seat in layout.seats}) == len(layout.seats)
    assert len({seat.full_name for seat in layout.seats}) == len(layout.seats), "a ticket names one seat"
    TypeAdapter(list[SeatId]).validate_python(ids := [seat.seat_id for seat in layout.seats])
    assert len(set(ids)) == len(ids)
    by_id = dict(zip(ids, layout.seats, strict=True))
    for seat in layout.seats:
        if seat.pair:
            other = by_id[seat.pair]
            assert other.pair == seat.seat_id
            assert (other.area, other.row, other.y, other.category) == (seat.area, seat.row, seat.y, seat.category)
            assert abs(other.x - seat.x) == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts(), st.data())
def test_json_that_cannot_be_written_as_text_is_refused(text, data):
    layout = json.loads(parse_layout(text).model_dump_json())
    part = data.draw(st.sampled_from([*layout["seats"], *layout["aisles"], layout["focal_point"], layout]))
    key = data.draw(st.sampled_from([key for key, value in part.items() if isinstance(value, int | float)]))
    before = part[key]
    part[key] = data.draw(st.floats(allow_nan=True) | st.integers(-3, 500)) if key != "number" else before + 1000
    assume(part[key] != before)
    try:
        read = check_layout(Layout.model_validate(layout))
    except LayoutInvalid as fault:
        assert fault.detail.endswith(".")
    else:
        assert in_order(read) == in_order(Layout.model_validate(layout)), "it is a different layout, unchanged"


def in_order(layout):
    places = [*layout.seats, *layout.aisles]
    return sorted(places, key=repr), layout.screen, layout.focal_point, layout.columns, layout.rows


@given(st.text(alphabet="ABIs vrlwcLV.'_#[]:-/\"\n\tx15aß", max_size=60))
def test_any_text_is_a_layout_or_an_error(text):
    try:
        layout = parse_layout(text)
    except LayoutInvalid as fault:
        assert fault.detail.endswith(".")
        lines = text.split("\n")
        if line := fault.members.get("line"):
            assert 1 <= fault.members["column"] <= len(lines[line - 1])
    else:
        assert parse_layout(format_layout(layout)) == layout


@pytest.mark.parametrize(
    ("text", "detail", "members"),
    [
        ("A ss\nB sxs", "Line 2 (row B), column 4: 'x' is no seat", {"line": 2, "row": "B", "column": 4}),
        ("# C\n\nA ss.lll", "a love seat has no second half", {"line": 3, "row": "A", "column": 8}),
        ("A  ssw.c", "a wheelchair space has no companion", {"line": 1, "row": "A", "column": 6}),
        ("A ...", "a row has at least one seat", {"line": 1, "row": "A", "column": 3}),
        ("A ss\nA ss", "row A was in line 1 already", {"line": 2, "row": "A", "column": 1}),
        ("A ss ss", "'ss' is neither a seat number", {"line": 1, "row": "A", "column": 6}),
        ("A sss  1 2-3 3", "the number 3 occurs twice", {"line": 1, "row": "A", "column": 14}),
        ("A sss  1-4", "here are numbers for 4 seats; the row has 3", {"line": 1, "row": "A", "column": 8}),
        ("A sss  1-5/0", "the step of a range is at least 1", {"line": 1, "row": "A", "column": 8}),
        ("A ss  12a 12A", "the number 12A occurs twice", {"line": 1, "row": "A", "column": 11}),
        ("A ss  1 12abcd", "neither a seat number", {"line": 1, "row": "A", "column": 9}),
        ("[Stalls]\nA ss\n[Circle]\nA ss\nA ss", "row A of area Circle was", {"line": 5, "row": "A", "column": 1}),
        ("Й ss\nИ\u0306 ss", "row Й was in line 1 already", {"line": 2, "row": "Й", "column": 1}),
        ("ABCDEFGHIJKLM ss", "the row's name is invalid", {"line": 1, "column": 1}),
        ('"" ss', "the row's name is invalid", {"line": 1, "column": 1}),
        ("A\u200b ss", "nobody can see it", {"line": 1, "column": 1}),
        ("A ss.LLL", "a couch has no second half", {"line": 1, "row": "A", "column": 8}),
        ("A LlL", "a couch has no second half", {"line": 1, "row": "A", "column": 3}),
        ("A WC", "'W' is no seat", {"line": 1, "row": "A", "column": 3}),
        ("screen: above\nA ss", "nor is it 'screen: top'", {"line": 1, "column": 1}),
        ("A ss\nscreen: top", "this is neither a row", {"line": 2, "column": 1}),
        ("focus: 1 2\nfocus: 1 2\nA ss", "this is neither a row", {"line": 2, "column": 1}),
        ("focus: 1.3 2\nA ss", "this is neither a row", {"line": 1, "column": 1}),
        ("A ss\n[Circle]\nB ss", "the rows above have no area", {"line": 2, "column": 1}),
        ("[ ]\nA ss", "the area's name is invalid", {"line": 1, "column": 2}),
        ("A " + "s" * 201, "at most 200 seats wide", {"line": 1, "row": "A", "column": 203}),
        ("A s" + "\n" * 200 + "B s", "at most 200 rows deep", {}),
        ("\n".join(f"A{chr(65 + n)} {'s' * 200}" for n in range(11)), "this one has 2200", {}),
        ("# only a remark", "this one has 0", {}),
        ("", "this one has 0", {}),
        ("#" * 20_001, "longer than", {}),
    ],
)
def test_an_error_in_a_layout_has_its_place(text, detail, members):
    with pytest.raises(LayoutInvalid) as fault:
        parse_layout(text)
    assert detail in fault.value.detail
    assert fault.value.members == members


def test_a_seat_that_text_cannot_express_is_named():
    layout = parse_layout("A ss\nB ss")
    seats = [*layout.seats[:3], layout.seats[3].model_copy(update={"x": 0.5})]
    with pytest.raises(LayoutInvalid) as fault:
        check_layout(layout.model_copy(update={"seats": seats}))
    assert fault.value.members == {"seat": "B2"}


def test_areas_have_rows_of_their_own_and_couches_are_pairs():
    layout = parse_layout("[Stalls]\nA  sLLs  0 1 12a 12\n[Circle]\nA  VV\n10  ss")
    assert [seat.full_name for seat in layout.seats[:5]] == [
        "Stalls A0", "Stalls A1", "Stalls A12a", "Stalls A12", "Circle A1",
    ]  # fmt: skip
    assert layout.seats[-1].full_name == "Circle 10/2"
    ids = [seat.seat_id for seat in layout.seats]
    assert ids[:4] == ["A0", "A1", "A999", "A12"], "a row that was a plain letter before keeps its ids"
    pairs = {seat.seat_id: seat.pair for seat in layout.seats if seat.pair}
    assert pairs == {"A1": "A999", "A999": "A1", ids[4]: ids[5], ids[5]: ids[4]}


def test_ids_stay_when_other_rows_are_added():
    before = parse_layout("[Stalls]\nA ss\n[Circle]\nA ss")
    after = parse_layout("[Stalls]\n1 ss\nA ss\nB ss\n[Circle]\nA ss\nЖ ss")
    names = {seat.seat_id: seat.full_name for seat in after.seats}
    assert all(names[seat.seat_id] == seat.full_name for seat in before.seats)


def test_json_has_its_own_ids_and_spellings():
    sent = json.loads(parse_layout("[Circle]\nЙ LLs").model_dump_json())
    for seat, seat_id, pair in zip(sent["seats"], ["Z9", "Z8", "Z7"], ["Z8", "Z9", None], strict=True):
        seat |= {"seat_id": seat_id, "pair": pair, "row": "И\u0306 "}
    assert check_layout(Layout.model_validate(sent)) == parse_layout("[Circle]\nЙ LLs")


@pytest.mark.parametrize(
    "change",
    [
        {"pair": None}, {"pair": "A1"}, {"pair": "A3"}, {"pair": "Z9"}, {"suffix": "2\nB s"}, {"suffix": ""},
        {"row": "A\nB s"}, {"row": 'A" s'}, {"row": "B"}, {"area": "Circle"}, {"area": "x\n[y"}, {"seat_id": "A3"},
        {"category": "wheelchair"},
    ],
)  # fmt: skip
def test_json_with_a_wrong_seat_is_refused(change):
    layout = json.loads(parse_layout("A LLs").model_dump_json())
    layout["seats"][0] |= change
    with pytest.raises(LayoutInvalid):
        check_layout(Layout.model_validate(layout))
