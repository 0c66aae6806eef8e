"""Handing a mail to the mail server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib

from notifier import settings
from notifier.model import Refused, TryLater

PERMANENT = 500
IDLE_S = 1.0
"""How long a connection waits for the next mail: long enough in a rush, which is when it matters."""
_idle: list[aiosmtplib.SMTP] = []


async def hand_over(mail: bytes, recipient: str) -> None:
    """Return once the server has taken the mail.

    Raises Refused when it will never take this recipient or this text (5xx), TryLater for everything else: also for
    a refused password or sender, which is our fault and not the message's.
    """
    options = [] if recipient.isascii() else ["SMTPUTF8"]
    try:
        async with _connection() as server:
            await server.sendmail(settings.get().sender.addr_spec, [recipient], mail, mail_options=options)
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _by_code(error.recipients[0]) from error
    except aiosmtplib.SMTPDataError as error:
        raise _by_code(error) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise Refused(error.message) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TryLater(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def _connection() -> AsyncIterator[aiosmtplib.SMTP]:
    """A connection that nobody else uses: one that was used a moment ago, or a new one. After an error it is closed."""
    server = _idle.pop() if _idle else None
    if server is None or not server.is_connected:
        server = await _connected()
    try:
        yield server
    except BaseException:
        server.close()
        raise
    _idle.append(server)
    asyncio.get_running_loop().call_later(IDLE_S, _let_go, server)


async def _connected() -> aiosmtplib.SMTP:
    chosen = settings.get()
    server = aiosmtplib.SMTP(
        hostname=chosen.smtp_host,
        port=chosen.smtp_port,
        username=chosen.smtp_user or None,
        password=chosen.smtp_password.get_secret_value() or None,
        use_tls=chosen.smtp_security == "tls",
        start_tls=chosen.smtp_security == "starttls",
        timeout=chosen.smtp_seconds,
        local_hostname=socket.gethostname(),  # the library would ask the name server, and everybody would wait
    )
    await server.connect()
    return server


def _let_go(server: aiosmtplib.SMTP) -> None:
    if server in _idle:
        _idle.remove(server)
        server.close()


def _by_code(answer: aiosmtplib.SMTPResponseException) -> Refused | TryLater:
    """RFC 5321, 4.2.1: 4xx is transient, 5xx permanent."""
    kind = Refused if answer.code >= PERMANENT else TryLater
    return kind(f"{answer.code} {answer.message}")
