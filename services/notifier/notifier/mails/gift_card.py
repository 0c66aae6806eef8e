"""The mail with the code of a gift card: a present, a guest's refund as store credit, or one that staff issued."""

from email.headerregistry import Address

from chassis.locales import isolated, money
from contracts.payment import GiftCardMailed

from notifier.mails import notice
from notifier.mails.languages import locale_of, texts_of
from notifier.mails.notice import NoticeContext
from notifier.mails.rendering import page_url
from notifier.model import checked_address, one_line


def gift_card_context(event: GiftCardMailed) -> NoticeContext:
    """Return what the mail prints. Raises Unmailable.

    In the link, the code follows a `#`: browsers send that part of an address to no server, not even as the referrer.
    """
    locale, code = locale_of(event.locale), notice.decrypted(event.sealed_code)
    texts = texts_of(locale.language, "gift_card")
    own, amount = texts[event.reason], money(event.amount, event.currency, locale)
    sender, message = one_line(event.sender or "")[:100], one_line(event.message or "")
    details = [(texts["amount"], amount), (texts["code"], code)]
    details += [(texts["message"], isolated(message))] if message else []
    intro = own["intro_from"].format(sender=isolated(sender)) if sender and event.reason == "bought" else own["intro"]
    return NoticeContext(
        to=Address("", *checked_address(event.email)),
        language=locale.language,
        texts=texts,
        name="",
        subject=own["subject"].format(amount=amount),
        intro=intro,
        details=details,
        button=texts["button"],
        url=page_url(f"gift-cards/balance#code={code}"),
        why=f"{texts['use']} {own['why']}",
    )
