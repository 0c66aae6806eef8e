"""Find flaky tests: `make flakes` runs each suite three times beside as many busy loops as there are cores.

It prints which tests failed in how many of the runs. The loops end with this process, however it ends.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

RUNS = 3
FAILED = re.compile(r"(?:FAILED|ERROR) (.+?)(?: - .*)?\n?")


@contextmanager
def busy_loops(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run this many busy loops within the block."""
    until_this_ends = f"while kill -0 {os.getpid()}; do :; done"
    loops = [subprocess.Popen(["sh", "-c", until_this_ends], stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def failed_tests(output: Iterable[str]) -> set[str]:
    """The names in the lines of pytest's short test summary."""
    return {match[1] for line in output if (match := FAILED.fullmatch(line))}


def run(suite: str) -> set[str]:
    """Run a suite, show its output, and return what failed: tests, or the suite if no test did.

    This process's make passes its ARGS on to the one here.
    """
    command = ["make", "--no-print-directory", "test", f"SUITES={suite}"]
    output: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            output.append(line)
    return failed_tests(output) or ({suite} if process.returncode else set())


def main() -> int:
    """Return 1 if a test failed in any run."""
    failures: Counter[str] = Counter()
    try:
        with busy_loops(len(os.sched_getaffinity(0))):
            for suite in sys.argv[1:]:
                for _ in range(RUNS):
                    failures.update(run(suite))
    except KeyboardInterrupt:
        print("\ninterrupted")
    print("\n== flakes")
    for name, count in failures.most_common():
        print(f"failed in {count} of {RUNS} runs: {name}")
    if not failures:
        print("no test failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
