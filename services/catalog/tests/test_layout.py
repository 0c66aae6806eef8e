"""Seat layouts: text, grid, JSON, and errors with their places."""

import json

import pytest
from catalog.model import CATEGORIES, Layout, LayoutInvalid, check_layout, format_layout, parse_layout
from contracts.catalog import Aisle, Point
from hypothesis import assume, given
from hypothesis import strategies as st

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
groups = st.sampled_from([*"svrc", "ss", "ll", "llll", "wc", "cw", "wcw", "cwwc", "svr"])
cells = st.lists(st.tuples(gaps, groups), min_size=1, max_size=8).map(
    lambda parts: "".join(gap + group for gap, group in parts)
)
labels = st.lists(st.from_regex(r"[A-Z]{1,2}", fullmatch=True), min_size=1, max_size=12, unique=True)
names = st.text(st.characters(exclude_characters="[]", categories=["L", "N", "P"]), min_size=1, max_size=40)
halves = st.integers(0, 400).map(lambda number: number / 2)


@st.composite
def texts(draw):
    lines = [f"screen: {draw(st.sampled_from(['top', 'bottom', 'left', 'right']))}"] if draw(st.booleans()) else []
    if draw(st.booleans()):
        lines.append(f"focus: {draw(halves):g} {draw(halves):g}")
    has_areas = draw(st.booleans())
    for number, label in enumerate(draw(labels)):
        lines += draw(st.sampled_from([[], [""], ["", ""], ["# remark"], ["", "# remark"]]))
        if has_areas and (number == 0 or draw(st.booleans())):
            lines.append(f"[{draw(names)}]")
        row = draw(cells)
        seats = sum(map(row.count, CATEGORIES))
        numbers = draw(st.none() | st.permutations(range(1, seats + 1)) | st.sampled_from(ways_of(seats)))
        lines.append(f"{label} {row} {'' if numbers is None else ' '.join(map(str, numbers))}")
    return "\n".join(lines)


def ways_of(seats):
    return [[f"{seats}-1"], [f"1-{2 * seats - 1}/2"], [f"{2 * seats}-2/2"], [f"101-{100 + seats}"]]


@given(texts())
def test_a_layout_round_trips_through_text_and_json(text):
    layout = parse_layout(text)
    assert parse_layout(format_layout(layout)) == layout
    assert format_layout(parse_layout(format_layout(layout))) == format_layout(layout)
    as_json = layout.model_dump_json()
    assert check_layout(Layout.model_validate_json(as_json)) == layout
    assert len({(seat.x, seat.y) for seat in layout.seats}) == len(layout.seats)
    assert len({seat.seat_id for seat in layout.seats}) == len(layout.seats)


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


@given(st.text(alphabet="ABIs vrlwc.'_#[]:-/\n\tx15ß", max_size=60))
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
        ("A sss  1-5/0", "numbered from 1 to 999", {"line": 1, "row": "A", "column": 8}),
        ("A sss  0-2", "numbered from 1 to 999", {"line": 1, "row": "A", "column": 8}),
        ("1 ss", "Line 1, column 1: this is neither a row", {"line": 1, "column": 1}),
        ("AAA ss", "this is neither a row", {"line": 1, "column": 1}),
        ("screen: above\nA ss", "nor is it 'screen: top'", {"line": 1, "column": 1}),
        ("A ss\nscreen: top", "this is neither a row", {"line": 2, "column": 1}),
        ("focus: 1 2\nfocus: 1 2\nA ss", "this is neither a row", {"line": 2, "column": 1}),
        ("focus: 1.3 2\nA ss", "this is neither a row", {"line": 1, "column": 1}),
        ("A ss\n[Circle]\nB ss", "the rows above have no area", {"line": 2, "column": 1}),
        ("[ ]\nA ss", "an area has a name", {"line": 1, "column": 2}),
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
