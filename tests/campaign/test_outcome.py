"""The campaign's own figures: excused failures, the time of recovery and a row's verdict."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.report import Circumstances
from campaign.customers import EVERYBODY, Mind
from campaign.faults import QUICK, every_fault
from campaign.outcome import Outcome, Window
from campaign.report import keep
from campaign.requests import Answered, Requests

CLEAN = Outcome(
    fault="inventory killed",
    replicas=1,
    customers=50,
    confirmed=40,
    failures={"hold 502": 3},
    unexcused=0,
    told_to_wait=0,
    gave_up={},
    wrong={},
    violations=[],
    stuck=[],
    down_s=2.5,
    first_success_s=0.1,
    clean_second_s=0.4,
    slowest_s=0.9,
)


@pytest.fixture
def requests() -> Requests:
    """Holds fail from 10.0 to 13.9, when the process has been back for 0.9 s; checkouts always succeed."""
    noted = Requests()
    failed = {10.0: "502", 12.0: "502", 13.5: "ReadTimeout", 13.9: "502"}
    holds = [9.0, *failed, 14.2, 14.8, 15.5, 16.0]
    noted.answered = sorted(
        [Answered(at, 0.1, "hold", failed.get(at, "")) for at in holds]
        + [Answered(at + 0.01, 0.2, "checkout", "") for at in (10.0, 13.0, 14.5)]
    )
    return noted


def test_failures_are_excused_only_within_the_window(requests: Requests):
    assert requests.unexcused(Window(10.0, 16.0)) == 0
    assert requests.unexcused(Window(10.0, 13.6)) == 1
    assert requests.unexcused(None) == 4


def test_service_is_back_with_the_step_that_failed_and_for_a_whole_second(requests: Requests):
    assert requests.first_success_s(13.0) == pytest.approx(1.2)
    assert requests.clean_second_s(13.0) == pytest.approx(0.9, abs=1e-3)
    assert requests.first_success_s(15.9) == pytest.approx(0.1)
    assert requests.first_success_s(16.1) is None
    assert requests.clean_second_s(15.9) is None  # the row ended before the second was over


def test_kinds_and_the_slowest_answer(requests: Requests):
    assert requests.kinds() == {"hold 502": 3, "hold ReadTimeout": 1}
    assert requests.slowest_s() == 0.2


@pytest.mark.parametrize(
    "missed",
    [
        {"violations": ["seats: A1 was sold 2 times"]},
        {"stuck": ["hold 7 is live"]},
        {"wrong": {"checkout 404 booking_unknown": 1}},
        {"gave_up": {"hold": 1}},
        {"unexcused": 1},
        {"clean_second_s": None},
        {"confirmed": 0},
        {"error": "the platform could not be read"},
    ],
    ids=lambda missed: next(iter(missed)),
)
def test_each_aim_can_be_missed(missed: dict[str, object]):
    assert CLEAN.misses == []
    assert len(replace(CLEAN, **missed).misses) == 1


def test_the_table_has_a_row_for_each_fault_and_says_what_was_found(tmp_path: Path):
    began = Circumstances(at="2026-12-01", commit="1234567", machine="2 × CPU", load_before=0.1)
    missed = replace(CLEAN, fault="mongo paused", wrong=Counter({"hold 409 seats_taken": 2}), stuck=["hold 7 is live"])
    keep(began, [CLEAN, missed], tmp_path)
    table = (tmp_path / "campaign.md").read_text()
    assert "2 faults, 100 customers, 80 with tickets; 6 failed requests" in table
    assert "| mongo paused | 1 |" in table
    assert "| stuck; wrong answers: 2 |" in table
    assert "- mongo paused (1): stuck: hold 7 is live" in table
    rows = json.loads((tmp_path / "campaign.json").read_text())["rows"]
    assert [(row["fault"], row["misses"]) for row in rows] == [
        ("inventory killed", []),
        ("mongo paused", ["stuck", "wrong answers: 2"]),
    ]


def test_the_faults_have_names_of_their_own_and_every_customer_has_a_mind():
    faults = [(fault.name, fault.shape) for fault in every_fault()]
    assert len(set(faults)) == len(faults)
    assert {name for name, _ in faults} >= QUICK
    assert set(EVERYBODY) == set(Mind)
