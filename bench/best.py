"""python -m bench.best: measure the choice of the best available seats in the demo's auditorium of 430 seats."""

import random
import statistics
import time
from pathlib import Path

from catalog import demo
from catalog.model import parse_layout
from inventory.model import AuditoriumMap, Party, SeatState, best_available

from bench.report import RESULTS, Circumstances

TIMES, ROUNDS = 50, 9
PARTIES = {
    "2": Party(2),
    "10": Party(10),
    "4, vip": Party(4, frozenset({"vip"})),
    "4, one in a wheelchair": Party(4, wheelchairs=1),
}


def milliseconds(auditorium: AuditoriumMap, states: dict[str, SeatState], party: Party) -> tuple[float, str]:
    """Return the CPU time of one choice, the median of several rounds, and how the party sits."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            best_available(auditorium, states, party)
        rounds.append((time.process_time() - began) / TIMES * 1000)
    choice = best_available(auditorium, states, party)
    groups = " + ".join(str(len(group)) for group in choice.groups) if choice else "–"
    return statistics.median(rounds), groups


def occupancies(auditorium: AuditoriumMap) -> dict[str, dict[str, SeatState]]:
    """Yield the cases from an empty auditorium to the worst one: every other seat is taken, so ten people sit apart."""
    dice = random.Random(7)  # noqa: S311 - a dice, not a secret
    seats = [seat_id for run in auditorium.runs for seat_id in run.ids]
    full: dict[str, dict[str, SeatState]] = {
        f"{share} % sold": {seat: "sold" for seat in seats if dice.random() * 100 < share} for share in (0, 30, 60, 90)
    }
    every_other: dict[str, SeatState] = {seat_id: "sold" for run in auditorium.runs for seat_id in run.ids[::2]}
    return full | {"every other seat": every_other}


def main() -> None:
    """Parse the command line and run."""
    circumstances = Circumstances.now()
    text = (Path(demo.__file__).parent / "layouts" / "berlin-1.txt").read_text()
    layout = parse_layout(text)
    auditorium = AuditoriumMap.from_layout(layout.seats, layout.focal_point)
    lines = [
        "# What picking the best seats costs",
        "",
        f"Commit {circumstances.commit}, {circumstances.at}, {circumstances.machine}; load of the machine before it "
        f"began: {circumstances.load_before}.",
        f"CPU milliseconds of one pick among {len(layout.seats)} seats, median of {ROUNDS} rounds; in brackets how the "
        "party sits. Aim: 2 ms.",
        "",
        f"| party of | {' | '.join(occupancies(auditorium))} |",
        "| --- |" + " --- |" * len(occupancies(auditorium)),
    ]
    for name, party in PARTIES.items():
        cells = [milliseconds(auditorium, states, party) for states in occupancies(auditorium).values()]
        lines.append(f"| {name} | " + " | ".join(f"{cost:.2f} ({groups})" for cost, groups in cells) + " |")
    result = "\n".join(lines) + "\n"
    print(result)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "best.md").write_text(result)


if __name__ == "__main__":
    main()
