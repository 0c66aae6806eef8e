"""Handing a mail to the mail server."""

import aiosmtplib

from notifier import settings
from notifier.model import Refused, TryLater

PERMANENT = 500


async def hand_over(mail: bytes, recipient: str) -> None:
    """Return once the server has taken the mail.

    Raises Refused when it will never take this recipient or this text (5xx), TryLater for everything else: also for
    a refused password or sender, which is our fault and not the message's.
    """
    chosen = settings.get()
    try:
        await aiosmtplib.send(
            mail,
            sender=chosen.sender.addr_spec,
            recipients=[recipient],
            mail_options=[] if recipient.isascii() else ["SMTPUTF8"],
            hostname=chosen.smtp_host,
            port=chosen.smtp_port,
            username=chosen.smtp_user or None,
            password=chosen.smtp_password.get_secret_value() or None,
            use_tls=chosen.smtp_security == "tls",
            start_tls=chosen.smtp_security == "starttls",
            timeout=chosen.smtp_seconds,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _by_code(error.recipients[0]) from error
    except aiosmtplib.SMTPDataError as error:
        raise _by_code(error) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise Refused(error.message) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TryLater(f"{type(error).__name__}: {error}") from error


def _by_code(answer: aiosmtplib.SMTPResponseException) -> Refused | TryLater:
    """RFC 5321, 4.2.1: 4xx is transient, 5xx permanent."""
    kind = Refused if answer.code >= PERMANENT else TryLater
    return kind(f"{answer.code} {answer.message}")
