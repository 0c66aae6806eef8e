"""SMTP client: sends mails to the mail server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib

from notifier.model import Refused, TryLater
from notifier.settings import Settings

PERMANENT = 500
COMPLETED, START_INPUT = 250, 354
IDLE_S = 1.0
"""How long an idle connection stays open for the next mail. In a rush, the next mail comes sooner."""


class SmtpClient:
    """Sends mails. Keeps idle connections for IDLE_S."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle = dict[aiosmtplib.SMTP, asyncio.TimerHandle]()

    async def send(self, mail: bytes, recipient: str) -> None:
        """Send the mail; return once the server has accepted it.

        Raises Refused when the server refuses the recipient or the content for good (5xx), and TryLater for everything
        else, including a refused password or sender: those are wrong settings, and the message can be sent later.
        """
        try:
            async with self._connection() as server:
                options = [] if recipient.isascii() else [await _smtputf8(server)]
                await server.mail(self._settings.sender.addr_spec, options=options)
                await server.rcpt(recipient, encoding="utf-8")
                await self._send_data(server, mail)
        except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
            raise _error_for(error) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise TryLater(f"{type(error).__name__}: {error}") from error

    async def _send_data(self, server: aiosmtplib.SMTP, mail: bytes) -> None:
        """Send the content. The library's `data` would search it for bare line ends, of which there are none; that
        takes as long as the rest of the session.
        """
        ready = await server.execute_command(b"DATA")
        if ready.code != START_INPUT or server.protocol is None:
            raise aiosmtplib.SMTPDataError(ready.code, ready.message)
        server.protocol.write(mail.replace(b"\r\n.", b"\r\n..") + b".\r\n")  # RFC 5321, 4.5.2
        reply = await server.protocol.read_response(self._settings.smtp_seconds)
        if reply.code != COMPLETED:
            raise aiosmtplib.SMTPDataError(reply.code, reply.message)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Return an idle connection or a new one, for exclusive use. After an error it is closed."""
        server, closing = self._idle.popitem() if self._idle else (None, None)
        if closing is not None:
            closing.cancel()
        if server is None or not server.is_connected:
            server = await self._connect()
        try:
            yield server
        except BaseException:
            server.close()
            raise
        self._idle[server] = asyncio.get_running_loop().call_later(IDLE_S, self._close_idle, server)

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        server = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password.get_secret_value() or None,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=settings.smtp_seconds,
            local_hostname=socket.gethostname(),  # the library would resolve it and block the event loop
        )
        await server.connect()
        return server

    def _close_idle(self, server: aiosmtplib.SMTP) -> None:
        del self._idle[server]
        server.close()


async def _smtputf8(server: aiosmtplib.SMTP) -> str:
    """Return the option for a non-ASCII address. Raises Refused when the server does not support it."""
    if server.is_ehlo_or_helo_needed:
        await server.ehlo()
    if not server.supports_extension("smtputf8"):
        raise Refused("SMTPUTF8 is not supported by this server")
    return "SMTPUTF8"


def _error_for(reply: aiosmtplib.SMTPResponseException) -> Refused | TryLater:
    """Return the error for a reply (RFC 5321, 4.2.1: 4xx is transient, 5xx permanent)."""
    error_type = Refused if reply.code >= PERMANENT else TryLater
    return error_type(f"{reply.code} {reply.message}")
