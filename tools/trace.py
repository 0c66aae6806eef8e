"""Show a booking's spans in all services as a tree: `make trace BOOKING=<id or reference>`.

The services write spans to their logs if the platform runs with `OTEL_TRACES_EXPORTER=console`. A booking has several
traces, each started by a person, Stripe or a deadline: hold, checkout, payment, webhook. The booking's id, which the
spans carry as `usher.subject`, joins them. They are shown in order of time.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

LOGS = Path(os.environ.get("USHER_DATA_DIR") or Path(__file__).parents[1] / ".runtime/data", "logs")
NOTABLE_GAP = timedelta(milliseconds=1)
DIM, BOLD, RED, PLAIN = (f"\033[{code}m" if sys.stdout.isatty() else "" for code in (2, 1, 31, 0))


@dataclass
class Span:
    """A span of the console exporter. `ended_at` may be before a child starts: the event was on its way in between."""

    id: str
    parent_id: str | None
    trace_id: str
    name: str
    service: str
    began_at: datetime
    ended_at: datetime
    failure: str
    attributes: dict[str, Any]
    children: list[Self] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """The id of the span's subject, if the span has one."""
        return self.attributes.get("usher.subject", "")


def read(lines: Iterable[str]) -> Iterator[Span]:
    """Find the spans in log lines."""
    for line in lines:
        if line.startswith('{"name": "') and '"trace_id"' in line:
            raw = json.loads(line)
            status = raw["attributes"].get("http.response.status_code", "")
            is_failed = raw["status"]["status_code"] == "ERROR"
            yield Span(
                id=raw["context"]["span_id"],
                parent_id=raw["parent_id"],
                trace_id=raw["context"]["trace_id"],
                name=f"{raw['name']} {status}".rstrip(),
                service=raw["resource"]["attributes"]["service.name"].removeprefix("usher-"),
                began_at=datetime.fromisoformat(raw["start_time"]),
                ended_at=datetime.fromisoformat(raw["end_time"]),
                failure=raw["status"].get("description", "failed") if is_failed else "",
                attributes=raw["attributes"],
            )


def booking_id(spans: Iterable[Span], asked: str) -> str:
    """Return the booking's id for an id or a reference."""
    references = {span.attributes.get("usher.reference"): span.subject for span in spans}
    return references.get(asked.upper(), asked)


def trees(spans: Iterable[Span], subject: str) -> list[Span]:
    """Return the spans about the subject with their ancestors, as trees, the earliest first."""
    known = {span.id: span for span in spans}
    roots = []
    for span in sorted(known.values(), key=lambda span: span.began_at):
        parent = known.get(span.parent_id or "")
        (parent.children if parent else roots).append(span)
    return [root for root in roots if _prune(root, subject, is_about=False)]


def _prune(span: Span, subject: str, *, is_about: bool) -> bool:
    """Keep only spans about the subject, their ancestors, and descendants without another subject."""
    is_about = span.subject == subject if span.subject else is_about
    span.children = [child for child in span.children if _prune(child, subject, is_about=is_about)]
    return is_about or bool(span.children)


def drawn(roots: list[Span]) -> Iterator[str]:
    """Format the lines: time, duration, service, name; between traces the idle time."""
    if not roots:
        return
    began, until = roots[0].began_at, roots[0].began_at
    for root in roots:
        if root.began_at - until > NOTABLE_GAP:
            yield f"{DIM}{'':11}{_ms(root.began_at - until):>11}  {'':10}… until the next trace{PLAIN}"
        yield f"{BOLD}{DIM}trace {root.trace_id.removeprefix('0x')}{PLAIN}"
        yield from _lines(root, None, began, "", "")
        until = max(until, _end(root))


def _lines(span: Span, parent: Span | None, began: datetime, head: str, rest: str) -> Iterator[str]:
    waited = span.began_at - parent.ended_at if parent else timedelta()
    notes = f"  {DIM}waited {_ms(waited)}{PLAIN}" if waited > NOTABLE_GAP else ""
    if span.failure:
        notes += f"  {RED}{span.failure}{PLAIN}"
    when, took = _ms(span.began_at - began), _ms(span.ended_at - span.began_at)
    yield f"{DIM}{when:>11}{PLAIN}{took:>11}  {span.service:10}{DIM}{head}{PLAIN}{span.name}{notes}"
    for child in span.children:
        is_last = child is span.children[-1]
        yield from _lines(
            child, span, began, rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  ")
        )


def _ms(time: timedelta) -> str:
    return f"{time.total_seconds() * 1000:,.1f} ms"


def _end(span: Span) -> datetime:
    return max([span.ended_at, *map(_end, span.children)])


def _all(roots: list[Span]) -> Iterator[Span]:
    for root in roots:
        yield root
        yield from _all(root.children)


def _log_lines(logs: Path) -> Iterator[str]:
    for file in sorted(logs.glob("*.log")):
        with file.open(errors="replace") as lines:
            yield from lines


def main() -> int:
    """Parse the command line and print the tree. The exit status is 1 if there are no spans."""
    parser = argparse.ArgumentParser(prog="make trace BOOKING=…", description=__doc__)
    parser.add_argument("booking", help="a booking's id or reference")
    parser.add_argument("--logs", type=Path, default=LOGS, help="the folder with the services' logs, or - for stdin")
    arguments = parser.parse_args()
    spans = list(read(sys.stdin if str(arguments.logs) == "-" else _log_lines(arguments.logs)))
    if not spans:
        print("There are no spans. Run the platform with tracing on: OTEL_TRACES_EXPORTER=console make run")
        return 1
    subject = booking_id(spans, arguments.booking)
    roots = trees(spans, subject)
    if not roots:
        print(f"No span is about {arguments.booking}; {len(spans)} are about others.")
        return 1
    shown = list(_all(roots))
    services = sorted({span.service for span in shown})
    print(f"Booking {subject}: {len(roots)} traces, {len(shown)} spans of {', '.join(services)}")
    print(f"{DIM}{'began':>11}{'took':>11}{PLAIN}")
    for line in drawn(roots):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
