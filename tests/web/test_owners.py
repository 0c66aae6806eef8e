"""What belongs to a customer: holds and bookings of a guest who signs in, the address for mails, one code for all."""

import re

import aio_pika
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging.wire import to_message
from chassis.testing import until
from cinema import PASSWORD
from contracts.envelope import Envelope
from contracts.notifier import MailFailed
from contracts.topology import publishing_exchange
from playwright.async_api import Locator, Page, expect

SIZES = {"phone": (390, 844), "small phone": (360, 640), "turned": (844, 390), "desk": (1280, 900)}
COUNT_AWAKE = """() => {
  window.awake = 0;
  const request = navigator.wakeLock.request.bind(navigator.wakeLock);
  navigator.wakeLock.request = (type) => { window.awake += 1; return request(type); };
}"""


async def fits_everywhere(page: Page, *shown: Locator) -> None:
    """At each size nothing is wider than the page, and each of these can be reached and is not covered."""
    before = page.viewport_size
    for width, height in SIZES.values():
        await page.set_viewport_size({"width": width, "height": height})
        wide = await page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{wide} px too wide at {width} x {height}"
        for each in shown:
            await each.scroll_into_view_if_needed()
            box = await each.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, f"{each} at {width} x {height}"
            if await each.evaluate("element => element.tagName === 'BUTTON'"):
                await each.click(trial=True)
    if before:
        await page.set_viewport_size(before)


async def mail_fails(cinema, booking_id: str) -> None:
    """Publish that the mail with the tickets could not be delivered, as the notifier does after a 5xx."""
    event = MailFailed(booking_id=booking_id, kind="confirmation", failed_at=now(), queued_at=now())
    envelope = Envelope(
        id=new_id(),
        source="notifier",
        type=event.type,
        subject=booking_id,
        time=now(),
        body=event.model_dump_json(),
    )
    async with await aio_pika.connect(cinema.platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(publishing_exchange("notifier"), ensure=False)
        await exchange.publish(to_message(envelope), event.type, mandatory=True)


async def mails_to(cinema, email: str, subject: str) -> list[dict]:
    """Wait for the mails with this subject to this address."""

    async def there() -> list[dict]:
        mails = (await cinema.http.get(f"{cinema.platform.env['MAILBOX_URL']}/email")).json()
        return [m for m in mails if subject in m["subject"] and email in [to["address"] for to in m["to"]]]

    return await until(there)


async def test_a_guest_signs_in_pays_corrects_the_address_and_finds_everything_again(visit, cinema):
    right, better = (f"{word}-{new_id()}@usher.example" for word in ("right", "better"))
    visitor = await visit("phone")
    page = visitor.page
    await page.add_init_script(f"({COUNT_AWAKE})()")
    await visitor.hold(2)
    await visitor.button("Continue").click()
    await page.get_by_label("E-mail").fill("ada@gmial.com")
    await page.get_by_label("Name").focus()
    await expect(page.get_by_role("button", name="ada@gmail.com")).to_be_visible()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await expect(page.get_by_label("Password")).to_be_visible()  # the order has a field for the e-mail, too
    await visitor.enter("customer@usher.example", PASSWORD)
    await page.wait_for_url("**/checkout/*")
    booking_id = page.url.rpartition("/")[2]
    await expect(page.get_by_label("E-mail")).to_have_value("customer@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()

    # The address before the payment.
    await expect(page.get_by_text("Your tickets go to customer@usher.example.")).to_be_visible()
    change = visitor.button("Change address")
    await fits_everywhere(page, change)
    await change.click()
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.get_by_label("E-mail").fill(right)
    await fits_everywhere(page, page.get_by_label("E-mail"), visitor.button("Save address"))
    await visitor.button("Save address").click()
    await expect(page.get_by_role("main").get_by_text(f"Your tickets go to {right}.")).to_be_visible()
    await expect(page.get_by_role("timer")).to_be_visible()
    await visitor.pay()
    await visitor.sees_tickets(2)
    assert await page.evaluate("() => window.awake") >= 1, "the screen stays on"
    ticket = page.locator("li.ticket").first
    assert await ticket.evaluate("element => getComputedStyle(element).scrollSnapStop") == "always"
    await expect(ticket.locator(".ticket-head img")).to_have_count(1)
    await mails_to(cinema, right, "Your tickets")

    # One code for all.
    await visitor.button("One code for all 2").click()
    code = page.get_by_role("img", name=re.compile("^QR code for the whole party"))
    await expect(code).to_be_visible()
    await expect(page.get_by_text("Admits 2 people")).to_be_visible()
    await fits_everywhere(page, code, visitor.button("One code for all 2"))
    await visitor.button("One code for all 2").click()
    await visitor.sees_tickets(2)

    # A mail that cannot be delivered.
    await mail_fails(cinema, booking_id)
    failed = page.get_by_text(f"We could not deliver an e-mail to {right}.")

    async def is_shown() -> bool:
        await page.reload()
        await visitor.sees_tickets(2)
        return await failed.count() == 1

    await until(is_shown)
    await fits_everywhere(page, failed, visitor.button("Change address"), visitor.button("Send again"))
    await visitor.button("Change address").click()
    await page.get_by_label("E-mail").fill(better)
    await visitor.button("Save and send tickets").click()
    await expect(page.get_by_role("main").get_by_text(f"Your tickets are on their way to {better}.")).to_be_visible()
    await expect(failed).to_have_count(0)
    await visitor.button("Send again").click()
    await expect(page.get_by_role("alert")).to_contain_text("We have just sent an e-mail")
    [tickets] = await mails_to(cinema, better, "Your tickets")
    [notice] = await mails_to(cinema, right, "was changed")
    assert len(tickets["attachments"]) >= 2
    assert "#key=" not in notice["text"] and better not in notice["text"]

    # The account has it.
    await page.get_by_role("link", name="My bookings").click()
    await expect(page.locator(f'a[href="/bookings/{booking_id}"]').last).to_be_visible()

    # Another device finds it by the address alone; its link does not change an account's address.
    other = await visit("phone")
    await other.page.goto("/find-booking")
    await fits_everywhere(other.page, other.button("Send me the link"), other.page.get_by_label("E-mail"))
    await other.page.get_by_label("E-mail").fill(better)
    await other.button("Send me the link").click()
    await expect(other.page.get_by_text("If there are upcoming bookings")).to_be_visible()
    [links] = await mails_to(cinema, better, "Your upcoming bookings")
    [link] = re.findall(rf"{cinema.platform.url}/bookings/\S+#key=\S+", links["text"])
    await other.page.goto(link)
    await other.sees_tickets(2)
    await other.button("Change address").click()
    await other.page.get_by_label("E-mail").fill(right)
    await other.button("Save and send tickets").click()
    await expect(other.page.get_by_role("alert")).to_contain_text("belongs to an account")


async def test_a_payment_in_one_tab_goes_on_while_another_tab_signs_in(visit, cinema):
    visitor = await visit()
    page = visitor.page
    await visitor.hold(1)
    await visitor.order("guest@usher.example")
    booking_id = page.url.rpartition("/")[2]
    await visitor.fill_card("4242424242424242")
    other = await page.context.new_page()
    await other.goto("/sign-in")
    await other.get_by_label("E-mail").fill("customer@usher.example")
    await other.get_by_label("Password").fill(PASSWORD)
    await other.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("link", name="My bookings")).to_be_visible()
    await visitor.button(re.compile("^Pay ")).click()
    await visitor.sees_tickets(1)
    await other.goto("/bookings")
    await expect(other.locator(f'a[href="/bookings/{booking_id}"]').last).to_be_visible()
