"""The mail with a gift card's code, in English and German."""

import pytest
from chassis.security.secrets import Cipher
from contracts.payment import GiftCardMailed
from notifier.mails import render_stored

from .conftest import LINK_KEY

CODE = "ABCD-EFGH-JKMN-PQRS-TVWX"


def mailed(**changes: object) -> GiftCardMailed:
    facts = {"gift_card_id": "g1", "mail_id": "m1", "reason": "bought", "amount": 2000, "currency": "EUR"}
    facts |= {"email": "grace@usher.example", "sealed_code": Cipher(LINK_KEY).encrypt(CODE)}
    return GiftCardMailed.model_validate(facts | changes)


@pytest.mark.parametrize(
    ("locale", "reason", "words"),
    [
        ("en", "bought", ["€20.00", "Ada has given you", "Enjoy &lt;b&gt;"]),
        ("de", "bought", ["20,00", "Ada schenkt Ihnen", "Enjoy &lt;b&gt;"]),
        ("en", "refund", ["store credit", "€20.00"]),
        ("de-AT", "refund", ["Guthaben", "20,00"]),
        ("en", "staff", ["The cinema has given you"]),
        ("de", "staff", ["Das Kino schenkt Ihnen"]),
    ],
)
def test_the_mail_has_the_code_and_a_link(locale: str, reason: str, words: list[str]):
    event = mailed(locale=locale, reason=reason, sender="Ada", message="Enjoy <b>\nthe film")
    mail = render_stored("gift_card", event.model_dump_json())
    for body in (mail.text, mail.html):
        assert CODE in body
        assert f"/gift-cards/balance#code={CODE}" in body
    plain = mail.html.replace("\u2068", "").replace("\u2069", "").replace("\xa0", " ")
    assert [word for word in words if word not in plain] == []
    assert CODE not in mail.subject
