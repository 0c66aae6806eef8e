"""The result as people read it, and where it is kept."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

RESULTS = Path(__file__).parent / "results"
AIMS = {"saga": 10.0, "per_second": 120, "ratio": 1.5, "hold": 1.5, "hold_p99": 25, "race": 1700, "confirmed_p99": 250}
"""What the platform aims at on a machine of two cores; nothing fails when it misses."""


@dataclass(frozen=True)
class Circumstances:
    """When, of what, and beside what else a measurement ran."""

    at: str
    commit: str
    machine: str
    load_before: float

    @classmethod
    def now(cls) -> Self:
        """Those of this moment."""
        commit = _output("git", "rev-parse", "--short", "HEAD") + (
            "+" if _output("git", "status", "-s", "-uno") else ""
        )
        model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
        machine = f"{os.cpu_count()} × {model.partition(': ')[2]}, Python {platform.python_version()}"
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), commit, machine, round(os.getloadavg()[0], 1))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def finished(began: Circumstances, figures: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """The whole result; the ratio is that of a saga at 32 clients to the floor."""
    ratio = round(figures["sagas"][-1]["cpu_ms"] / figures["floor"]["cpu_ms"], 2)
    return {**vars(began), "quick": quick, "ratio_to_floor": ratio, **figures}


def keep(result: dict[str, Any]) -> None:
    """Print the result and keep it as the last one: JSON, and the same tables in Markdown."""
    text = markdown(result)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    name = "quick" if result["quick"] else "last"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text)


def markdown(result: dict[str, Any]) -> str:
    """The result in tables."""
    parts = [_heading(result), _main(result), _processes(result), _growth(result["growth"])]
    return "\n\n".join(parts) + "\n"


def _heading(result: dict[str, Any]) -> str:
    return (
        f"# What a booking costs\n\nCommit {result['commit']}, {result['at']}, {result['machine']};"
        f" load of the machine before it began: {result['load_before']}, yardstick: {result['yardstick_ms']} ms.\n"
        "Two seats a booking, by guests. CPU milliseconds of all the platform's processes; the load generator, Stripe's"
        " sandbox and the mailbox are not counted. A booking counts until its mail is sent."
    )


def _main(result: dict[str, Any]) -> str:
    sagas, holds, crowd, floor = result["sagas"], result["holds"], result["crowd"], result["floor"]
    race = sorted(result["races"], key=lambda each: each["per_second"])[len(result["races"]) // 2]
    rows = [
        [f"saga, {saga['clients']} clients", saga["per_second"], saga["cpu_ms"], _three(saga["hold"]),
         _three(saga["hold_to_confirmed"])]
        for saga in sagas
    ]  # fmt: skip
    rows += [
        [f"hold alone, {holds['clients']} clients", holds["per_second"], holds["cpu_ms"], _three(holds["hold"]), ""],
        [f"race, {race['clients']} clients, {race['seats']} seats: winners of each {race['winners_per_seat']}",
         race["per_second"], race["cpu_ms"], _three(race["answer"]), ""],
        [f"crowd of {crowd['clients']}: all answered after {crowd['seconds']} s, {crowd['outcomes']}",
         crowd["per_second"], crowd["cpu_ms"], _three(crowd["answer"]), ""],
        [f"floor, {floor['clients']} clients", floor["per_second"], floor["cpu_ms"], "", ""],
        ["nobody", "", f"{result['idle']['cpu_ms_per_second']} a second", "", ""],
    ]  # fmt: skip
    head = ["", "a second", "CPU-ms each", "hold p50 / p95 / p99 ms", "hold→confirmed p50 / p95 / p99 ms"]
    aims = (
        f"Ratio to the floor: **{result['ratio_to_floor']}**. Aims: a saga {AIMS['saga']} CPU-ms, {AIMS['per_second']}"
        f" a second, ratio {AIMS['ratio']}; a hold {AIMS['hold']} CPU-ms, p99 {AIMS['hold_p99']} ms; a race"
        f" {AIMS['race']} answers a second; hold→confirmed p99 {AIMS['confirmed_p99']} ms."
    )
    return f"{table(head, rows)}\n\n{aims}"


def _three(latencies: dict[str, float]) -> str:
    return " / ".join(f"{latencies[f'p{percent}_ms']:.0f}" for percent in (50, 95, 99))


def _processes(result: dict[str, Any]) -> str:
    """Where the milliseconds go."""
    columns = {f"saga, {saga['clients']}": saga["cpu"] for saga in result["sagas"]}
    columns |= {"hold": result["holds"]["cpu"], "race": result["races"][-1]["cpu"], "floor": result["floor"]["cpu"]}
    names = list(dict.fromkeys(name for each in columns.values() for name in each))
    rows = [[name, *(f"{each[name]:.2f}" if name in each else "" for each in columns.values())] for name in names]
    return table(["CPU-ms of", *columns], rows)


def _growth(growth: dict[str, Any]) -> str:
    rows = [
        [kind, f"{row['stock']:,}", row["cpu_ms"], f"{row['in_yardsticks'] / sizes[0]['in_yardsticks']:.2f}"]
        for kind, sizes in growth.items()
        for row in sizes
    ]
    return table(["stock", "", "CPU-ms a booking", "beside a fixed piece of work, the first = 1"], rows)


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
