"""The campaign's table, as Markdown and as data."""

import json
from collections.abc import Mapping
from pathlib import Path

from bench.report import Circumstances, table
from campaign.outcome import EXCUSED_AFTER_S, Outcome

HEAD = (
    *("fault", "replicas", "customers", "with tickets", "failed requests", "of them not excused", "409 running"),
    *("gave up", "wrong answers", "violations", "stuck", "down s", "first success s", "clean second s"),
    *("slowest answer s", "aims met"),
)


def keep(began: Circumstances, outcomes: list[Outcome], folder: Path) -> None:
    """Write `campaign.md`, and the same as data to `campaign.json`."""
    rows = [vars(outcome) | {"misses": outcome.misses} for outcome in outcomes]
    (folder / "campaign.json").write_text(json.dumps({**vars(began), "rows": rows}, indent=1) + "\n")
    (folder / "campaign.md").write_text(markdown(began, outcomes))


def markdown(began: Circumstances, outcomes: list[Outcome]) -> str:
    """Format the whole page."""
    parts = [
        "# What each fault costs",
        f"Commit {began.commit}, {began.at}, {began.machine}; load of the machine before: {began.load_before}.",
        _totals(outcomes),
        table(list(HEAD), [_row(outcome) for outcome in outcomes]),
        _details(outcomes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(outcome: Outcome) -> str:
    """Format one line for a terminal."""
    told = ", ".join(f"{count} {what}" for counts in (outcome.wrong, outcome.gave_up) for what, count in counts.items())
    verdict = "; ".join([*outcome.misses, *([told] if told else [])]) or "ok"
    return (
        f"{outcome.fault} ({outcome.replicas}): {outcome.customers} customers, {outcome.confirmed} with tickets,"
        f" {sum(outcome.failures.values())} failed requests, back {_s(outcome.first_success_s)} s,"
        f" clean {_s(outcome.clean_second_s)} s: {verdict}"
    )


def _totals(outcomes: list[Outcome]) -> str:
    missed = sum(bool(outcome.misses) for outcome in outcomes)
    return (
        f"{len(outcomes)} faults, {sum(outcome.customers for outcome in outcomes)} customers,"
        f" {sum(outcome.confirmed for outcome in outcomes)} with tickets;"
        f" {sum(sum(outcome.failures.values()) for outcome in outcomes)} failed requests,"
        f" {sum(outcome.unexcused for outcome in outcomes)} of them while a replica was up or later than"
        f" {EXCUSED_AFTER_S:.0f} s after the only one was back; {sum(len(outcome.violations) for outcome in outcomes)}"
        f" violations, {sum(len(outcome.stuck) for outcome in outcomes)} stuck,"
        f" {sum(sum(outcome.wrong.values()) for outcome in outcomes)} wrong answers. {missed} faults miss an aim."
    )


def _row(outcome: Outcome) -> list[str]:
    return [
        outcome.fault,
        str(outcome.replicas),
        str(outcome.customers),
        str(outcome.confirmed),
        _counts(outcome.failures),
        str(outcome.unexcused),
        str(outcome.told_to_wait),
        _counts(outcome.gave_up),
        _counts(outcome.wrong),
        str(len(outcome.violations)),
        str(len(outcome.stuck)),
        _s(outcome.down_s),
        _s(outcome.first_success_s),
        _s(outcome.clean_second_s),
        _s(outcome.slowest_s),
        "; ".join(outcome.misses) or "yes",
    ]


def _details(outcomes: list[Outcome]) -> str:
    """Format the details of the rows that miss an aim or whose processes ended unexpectedly."""
    lines = []
    for outcome in outcomes:
        found = [*outcome.violations, *(f"stuck: {text}" for text in outcome.stuck)]
        found += [f"fell: {name}" for name in outcome.fell] + ([outcome.error] if outcome.error else [])
        lines += [f"- {outcome.fault} ({outcome.replicas}): {text}" for text in found]
    return "\n".join(["## Found", "", *lines]) if lines else ""


def _counts(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return f"{total}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}" if total else "0"


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"
