"""Handing a mail to the mail server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib

from notifier import settings
from notifier.model import Refused, TryLater

PERMANENT = 500
COMPLETED, START_INPUT = 250, 354
IDLE_S = 1.0
"""How long a connection waits for the next mail: long enough in a rush, which is when it matters."""
_idle: dict[aiosmtplib.SMTP, asyncio.TimerHandle] = {}


async def hand_over(mail: bytes, recipient: str) -> None:
    """Return once the server has taken the mail.

    Raises Refused when it will never take this recipient or this text (5xx), TryLater for everything else: also for
    a refused password or sender, which is our fault and not the message's.
    """
    try:
        async with _connection() as server:
            options = [] if recipient.isascii() else [await _smtputf8(server)]
            await server.mail(settings.get().sender.addr_spec, options=options)
            await server.rcpt(recipient, encoding="utf-8")
            await _write(server, mail)
    except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
        raise _by_code(error) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TryLater(f"{type(error).__name__}: {error}") from error


async def _write(server: aiosmtplib.SMTP, mail: bytes) -> None:
    """Send the text. The library's own `data` searches it for bare line ends, of which ours has none, and that takes as
    long as the rest of the conversation.
    """
    ready = await server.execute_command(b"DATA")
    if ready.code != START_INPUT or server.protocol is None:
        raise aiosmtplib.SMTPDataError(ready.code, ready.message)
    server.protocol.write(mail.replace(b"\r\n.", b"\r\n..") + b".\r\n")  # RFC 5321, 4.5.2
    answer = await server.protocol.read_response(settings.get().smtp_seconds)
    if answer.code != COMPLETED:
        raise aiosmtplib.SMTPDataError(answer.code, answer.message)


async def _smtputf8(server: aiosmtplib.SMTP) -> str:
    """The option for an address beyond ASCII. Raises Refused when the server cannot take one."""
    if server.is_ehlo_or_helo_needed:
        await server.ehlo()
    if not server.supports_extension("smtputf8"):
        raise Refused("SMTPUTF8 is not supported by this server")
    return "SMTPUTF8"


@asynccontextmanager
async def _connection() -> AsyncIterator[aiosmtplib.SMTP]:
    """A connection that nobody else uses: one that was used a moment ago, or a new one. After an error it is closed."""
    server, waiting = _idle.popitem() if _idle else (None, None)
    if waiting is not None:
        waiting.cancel()
    if server is None or not server.is_connected:
        server = await _connected()
    try:
        yield server
    except BaseException:
        server.close()
        raise
    _idle[server] = asyncio.get_running_loop().call_later(IDLE_S, _let_go, server)


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
    del _idle[server]
    server.close()


def _by_code(answer: aiosmtplib.SMTPResponseException) -> Refused | TryLater:
    """RFC 5321, 4.2.1: 4xx is transient, 5xx permanent."""
    kind = Refused if answer.code >= PERMANENT else TryLater
    return kind(f"{answer.code} {answer.message}")
