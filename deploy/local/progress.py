"""The bootstrap's output: one line per step, the rest in a log file. Standard library only."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

HEARTBEAT_SECONDS = 5.0
LINES_SHOWN_ON_FAILURE = 25


class SetupError(Exception):
    """This machine cannot run Usher yet; the text says what is missing."""


class Progress:
    """Runs the steps of an installation and reports on each."""

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.live = sys.stdout.isatty()

    def say(self, text: str) -> None:
        """Print one line at once."""
        print(text, flush=True)

    def run(
        self, title: str, command: list[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None
    ) -> str:
        """Run `command` as the step `title` and return its output.

        A terminal shows the command's current line after the title; elsewhere a line appears every few seconds.
        Raises SetupError with the end of the output if the command fails or does not exist.
        """
        self.say(f"  {title} …")
        began = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError:
            raise SetupError(f"{title}: the program {command[0]} is missing") from None
        lines = self._follow(process, command)
        status = process.wait()
        seconds = time.monotonic() - began
        self._erase()
        if status != 0:
            end = "\n".join(f"    {line}" for line in lines[-LINES_SHOWN_ON_FAILURE:])
            raise SetupError(f"{title}: failed after {seconds:.0f} s (all of it in {self.log}):\n{end}")
        self.say(f"  {title}: done in {seconds:.0f} s")
        return "\n".join(lines)

    def _follow(self, process: subprocess.Popen[str], command: list[str]) -> list[str]:
        """Show and log the output until it ends. Returns its lines."""
        lines: list[str] = []
        shown = time.monotonic()
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(command)}\n")
            for line in process.stdout or ():
                log.write(line)
                lines.append(line.rstrip())
                if self.live:
                    self._erase()
                    print(f"    {lines[-1].strip()[:100]}", end="", flush=True)
                elif time.monotonic() - shown > HEARTBEAT_SECONDS:
                    shown = time.monotonic()
                    self.say(f"    {lines[-1].strip()[:100]}")
        return lines

    def _erase(self) -> None:
        if self.live:
            print("\r\033[K", end="", flush=True)
