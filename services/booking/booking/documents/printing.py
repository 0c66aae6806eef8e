"""Typesets documents as PDF. Typst runs in one thread: documents never hold up requests, and wait for each other."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import manimgx_fonts
import manimgx_fonts_cjk
import typst

from booking.model import DocumentsBusy

P = ParamSpec("P")
T = TypeVar("T")
MAX_WAITING = 50
"""More than a burst of visitors who open their tickets at once; one document takes a few milliseconds."""
TEMPLATES = Path(__file__).parent / "templates"
FONTS = [Path(package.__path__[0]) for package in (manimgx_fonts, manimgx_fonts_cjk)]


class Printer:
    """Prints one document at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="typst")
        self._waiting = 0

    async def print(self, template: str, data: dict[str, Any]) -> bytes:
        """Return the PDF of a template with this data. Raises DocumentsBusy."""
        return await self.run(self._print, template, json.dumps(data))

    async def run(self, make: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a document in the thread. Raises DocumentsBusy."""
        if self._waiting >= MAX_WAITING:
            raise DocumentsBusy(retry_after=1)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, partial(make, *args, **kwargs))
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Lifespan: stop the thread at the end."""
        yield
        self._thread.shutdown(cancel_futures=True)

    @cached_property
    def _compiler(self) -> typst.Compiler:
        """The compiler with all fonts, which its thread loads with the first document."""
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=FONTS)
        return typst.Compiler(root=TEMPLATES, font_paths=fonts)

    def _print(self, template: str, data: str) -> bytes:
        pdf = self._compiler.compile(TEMPLATES / f"{template}.typ", format="pdf", sys_inputs={"data": data})
        assert isinstance(pdf, bytes)  # noqa: S101 - a PDF is one file
        return pdf
