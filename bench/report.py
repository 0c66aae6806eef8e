"""The result in readable form, and where it is saved."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

FLOORS = {"floor": "floor", "floor_batched": "floor, events batched too"}
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Circumstances:
    """The time, the commit and the machine's load of a measurement."""

    at: str
    commit: str
    machine: str
    load_before: float

    @classmethod
    def now(cls) -> Self:
        """Return the conditions of this moment."""
        commit = _output("git", "rev-parse", "--short", "HEAD") + (
            "+" if _output("git", "status", "-s", "-uno") else ""
        )
        model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
        machine = f"{os.cpu_count()} × {model.partition(': ')[2]}, Python {platform.python_version()}"
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), commit, machine, round(os.getloadavg()[0], 1))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def finished(began: Circumstances, figures: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """The whole result. The ratio compares a booking at 32 clients with the floor."""
    ratio = round(figures["sagas"][-1]["cpu_ms"] / figures["floor"]["cpu_ms"], 2)
    return {**vars(began), "quick": quick, "ratio_to_floor": ratio, **figures}


def keep(result: dict[str, Any]) -> None:
    """Print the result and save it as the last one: JSON, and the same tables in Markdown."""
    text = markdown(result)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    name = "quick" if result["quick"] else "last"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text)


def markdown(result: dict[str, Any]) -> str:
    """Format the result as tables."""
    parts = [_heading(result), _main(result), _aims(result), _processes(result), _growth(result["growth"])]
    parts += [_replicas(int(clients), cases) for clients, cases in result["replicas"].items()]
    return "\n\n".join(parts) + "\n"


def _heading(result: dict[str, Any]) -> str:
    return (
        f"# What a booking costs\n\nCommit {result['commit']}, {result['at']}, {result['machine']};"
        f" load of the machine before it began: {result['load_before']}, yardstick: {result['yardstick_ms']} ms.\n"
        "Two seats a booking, by guests. CPU milliseconds of all the platform's processes; the load generator, Stripe's"
        " sandbox and the mail server are not counted. Costs are counted until the mail is accepted and all events"
        " are handled."
    )


def _main(result: dict[str, Any]) -> str:
    holds, crowd, arrivals, race = result["holds"], result["crowd"], result["arrivals"], _race(result)
    rows = [
        [f"bookings, {saga['clients']} clients", saga["per_second"], saga["cpu_ms"], _three(saga["hold"]),
         _three(saga["hold_to_confirmed"])]
        for saga in result["sagas"]
    ]  # fmt: skip
    rows += [
        [f"bookings, {arrivals['rate']} arrivals a second", arrivals["per_second"], arrivals["cpu_ms"],
         _three(arrivals["hold"]), _three(arrivals["hold_to_confirmed"])],
        [f"hold alone, {holds['clients']} clients", holds["per_second"], holds["cpu_ms"], _three(holds["hold"]), ""],
        [f"race, {race['clients']} clients, {race['seats']} seats: winners of each {race['winners_per_seat']}",
         race["per_second"], race["cpu_ms"], _three(race["answer"]), ""],
        [f"crowd of {crowd['clients']}: all answered after {crowd['seconds']} s, {crowd['outcomes']}",
         crowd["per_second"], crowd["cpu_ms"], _three(crowd["answer"]), ""],
    ]  # fmt: skip
    for name, floor in FLOORS.items():
        rows.append(
            [f"{floor}, {result[name]['clients']} clients", result[name]["per_second"], result[name]["cpu_ms"], "", ""]
        )
    rows.append(["idle", "", f"{result['idle']['cpu_ms_per_second']} a second", "", ""])
    head = ["", "a second", "CPU-ms each", "hold p50 / p95 / p99 ms", "hold→confirmed p50 / p95 / p99 ms"]
    late = _three(arrivals["started_late"])
    return (
        f"{table(head, rows)}\n\nCustomers arrive at random moments (Poisson), whether or not others are done; their"
        f" latencies count from the moment when they were to arrive. At most {arrivals['customers']} were there at"
        f" once; {_failed(arrivals['failed'])}. The generator began {late} ms"
        " late (p50 / p95 / p99), which is in the latencies."
    )


def _failed(codes: dict[str, int]) -> str:
    return "none failed" if not codes else f"{sum(codes.values())} failed {codes}"


def _race(result: dict[str, Any]) -> dict[str, Any]:
    """Return the median."""
    return sorted(result["races"], key=lambda race: race["per_second"])[len(result["races"]) // 2]


def _three(latencies: dict[str, float]) -> str:
    return " / ".join(f"{latencies[f'p{percent}_ms']:.0f}" for percent in (50, 95, 99))


def _aims(result: dict[str, Any]) -> str:
    """Return the platform's aims on a machine with two cores. Nothing fails when it misses them."""
    (alone, _, busy), arrivals, holds = result["sagas"], result["arrivals"], result["holds"]
    to_batched = busy["cpu_ms"] / result["floor_batched"]["cpu_ms"]
    growth = max(
        row["in_yardsticks"] / sizes[0]["in_yardsticks"] for sizes in result["growth"].values() for row in sizes
    )
    most = [
        ("a booking at 32 clients, CPU-ms", 10, busy["cpu_ms"]),
        (f"its ratio to the floor (with events batched too: {to_batched:.1f})", 3, result["ratio_to_floor"]),
        ("a booking at 1 client, CPU-ms", 35, alone["cpu_ms"]),
        ("a hold, CPU-ms", 1.2, holds["cpu_ms"]),
        ("a crowd of 2,000 answered, s", 1, result["crowd"]["seconds"]),
        (f"hold p99 at {arrivals['rate']} arrivals a second, ms", 40, arrivals["hold"]["p99_ms"]),
        ("hold→confirmed p99 there, ms", 300, arrivals["hold_to_confirmed"]["p99_ms"]),
        ("a booking with a larger stock to one with the smallest", 1.05, round(growth, 2)),
        ("idle, CPU-ms a second", 30, result["idle"]["cpu_ms_per_second"]),
    ]
    least = [
        ("bookings a second at 32 clients", 120, busy["per_second"]),
        ("answers of a race a second", 2000, _race(result)["per_second"]),
    ]
    rows = [[what, f"≤ {aim}", found, "yes" if found <= aim else "no"] for what, aim, found in most]
    rows += [[what, f"≥ {aim}", found, "yes" if found >= aim else "no"] for what, aim, found in least]
    return table(["", "aim", "found", "met"], rows)


def _replicas(clients: int, cases: dict[str, dict[str, dict[str, float]]]) -> str:
    """Format the latencies; in brackets the median's ratio to that of one replica of each service."""
    steps = list(next(iter(cases.values())))
    rows = [
        [case, *(f"{_three(found[step])} (× {found[step]['to_one']:.2f})" for step in steps)]
        for case, found in cases.items()
    ]
    names = [step.replace("_to_", "→").replace("_", "-") for step in steps]
    return table([f"{clients} client{'s' * (clients > 1)}: p50 / p95 / p99 ms (× one)", *names], rows)


def _processes(result: dict[str, Any]) -> str:
    """Format the milliseconds of each process; those in brackets do not belong to the platform."""
    measured = {f"booking, {saga['clients']}": saga for saga in result["sagas"]}
    measured |= {"arrivals": result["arrivals"], "hold": result["holds"], "race": _race(result)}
    columns = {name: figures["cpu"] | _not_counted(figures) for name, figures in measured.items()}
    columns |= {name.replace("_", ", "): result[name]["cpu"] for name in FLOORS}
    names = list(dict.fromkeys(name for each in columns.values() for name in each))
    rows = [[name, *(f"{each[name]:.2f}" if name in each else "" for each in columns.values())] for name in names]
    return table(["CPU-ms of", *columns], rows)


def _not_counted(figures: dict[str, Any]) -> dict[str, float]:
    return {f"({name})": ms for name, ms in figures["not_counted"].items()}


def _growth(growth: dict[str, Any]) -> str:
    rows = [
        [kind, f"{row['stock']:,}", row["cpu_ms"], f"{row['in_yardsticks'] / sizes[0]['in_yardsticks']:.2f}"]
        for kind, sizes in growth.items()
        for row in sizes
    ]
    return table(["stock", "", "CPU-ms a booking", "beside a fixed piece of work, the first = 1"], rows)


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Format a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
