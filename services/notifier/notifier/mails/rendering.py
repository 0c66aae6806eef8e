"""The templates of the mails, and the addresses of the pages that they link to."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier import settings


def page_url(path: str) -> str:
    """Return the address of a page of the web client."""
    return f"{settings.get().public_url.rstrip('/')}/{path}"


@cache
def templates() -> Environment:
    """Return the templates. Variables in HTML are escaped."""
    return Environment(
        loader=PackageLoader("notifier.mails"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def render_template(name: str, context: Any) -> tuple[str, str]:
    """Return the plain text and the HTML of a mail."""
    text, html = (templates().get_template(f"{name}.{form}").render(context=context) for form in ("txt", "html"))
    return text, html
