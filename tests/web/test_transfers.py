"""Giving a ticket to another person on the booking page, and what that person does with the link in the mail."""

import re

from chassis.ids import new_id
from playwright.async_api import expect
from visitor import Visitor

from .test_owners import fits_everywhere, mails_to

CODE = re.compile("^QR code of the ticket")


async def link_in(cinema, email: str) -> str:
    """The link in the mail about an offered ticket."""
    (mail,) = await mails_to(cinema, email, "A ticket for you")
    pattern = rf"{re.escape(cinema.platform.url)}/tickets/[\w-]+#key=[\w.-]+"
    (link,) = {link for form in ("text", "html") for link in re.findall(pattern, mail[form])}
    return link


async def code_on(visitor: Visitor) -> str:
    """The picture of the only ticket's code."""
    code = visitor.page.get_by_role("img", name=CODE)
    await expect(code).to_have_count(1)
    return await code.inner_html()


async def test_a_ticket_is_offered_taken_back_accepted_and_returned(visit, cinema):
    grace, hedy = (f"{name}-{new_id()}@usher.example" for name in ("grace", "hedy"))
    visitor = await visit("phone")
    page = visitor.page
    await visitor.hold(2)
    await visitor.order("giver@usher.example")
    await visitor.pay()
    await visitor.sees_tickets(2)

    # Offer, with the keyboard.
    section = visitor.part("Give a ticket to someone else")
    give = section.get_by_role("button", name=re.compile("^Give away: Row"))
    await give.first.press("Enter")
    email = section.get_by_label("Recipient's e-mail")
    await expect(email).to_be_focused()
    await email.fill(grace)
    await section.get_by_label("Your name").fill("Ada")
    await section.get_by_label("Message").fill("Have fun!\nSee you there")
    send = visitor.button("Send the ticket")
    await fits_everywhere(page, email, send, visitor.button("Keep it"))
    await email.press("Enter")
    await expect(section.get_by_text(f"Offered to {grace}.")).to_be_visible()
    recall = section.get_by_role("button", name=re.compile("^Take back: Row"))
    await expect(recall).to_be_focused()
    await visitor.sees_tickets(2)

    # Take it back: the link is void.
    void = await link_in(cinema, grace)
    await recall.press("Enter")
    await expect(give).to_have_count(2)
    await expect(give.first).to_be_focused()
    other = await visit("desk")
    await other.page.goto(void)
    await expect(other.page.get_by_role("heading", name="This ticket is not available")).to_be_visible()

    # Offer it to somebody else, who accepts without an account.
    await give.first.click()
    await section.get_by_label("Recipient's e-mail").fill(hedy)
    await section.get_by_label("Message").fill("Have fun!\nSee you there")
    await send.click()
    await expect(section.get_by_text(f"Offered to {hedy}.")).to_be_visible()
    await other.page.goto(await link_in(cinema, hedy))
    await expect(other.page.get_by_role("heading", name="A ticket for you")).to_be_visible()
    assert "#" not in other.page.url, "the key stays neither in the address nor in the history"
    await expect(other.page.get_by_text("See you there")).to_be_visible()
    accept = other.button("Accept the ticket")
    await fits_everywhere(other.page, accept)
    await expect(other.page.get_by_role("img", name=CODE)).to_have_count(0)
    await accept.press("Enter")
    await expect(other.page.get_by_role("heading", name="Your ticket")).to_be_focused()
    code = await code_on(other)
    await fits_everywhere(other.page, other.button("Ticket as PDF"), other.button("Return the ticket"))
    main = await other.page.get_by_role("main").inner_text()
    assert "giver@" not in main
    async with other.page.expect_download() as saving:
        await other.button("Ticket as PDF").click()
    assert (await saving.value).suggested_filename == "ticket.pdf"

    # The giver's page updates without a reload.
    await expect(section.get_by_text(f"{hedy} has this ticket.")).to_be_visible()
    await visitor.sees_tickets(1)
    assert await code_on(visitor) != code
    await visitor.button("Cancel tickets").click()
    await expect(page.get_by_role("checkbox")).to_have_count(1)

    # The recipient returns it.
    await other.button("Return the ticket").press("Enter")
    await expect(other.button("Yes, return it")).to_be_focused()
    await other.button("Yes, return it").press("Enter")
    await expect(other.page.get_by_role("heading", name="You have returned the ticket")).to_be_focused()
    await visitor.sees_tickets(2)
    await mails_to(cinema, "giver@usher.example", "Your ticket is back")


async def test_an_account_keeps_a_ticket_and_passes_it_on(visit, cinema):
    grace, hedy = (f"{name}-{new_id()}@usher.example" for name in ("grace", "hedy"))
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.buy(showtime_id, seats, "giver@usher.example")
    booking = await guest.settled(hold, "confirmed")
    path = f"/api/tickets/{booking['tickets'][0]['ticket_id']}/transfer"
    await guest.call("POST", path, json={"email": grace, "locale": "de"}, secret=hold["secret"])
    (mail,) = await mails_to(cinema, grace, "Ein Ticket für Sie")
    (link,) = set(re.findall(rf"{re.escape(cinema.platform.url)}/tickets/[\w-]+#key=[\w.-]+", mail["text"]))

    visitor = await visit("desk", locale="de-DE")
    page = visitor.page
    await page.goto("/sign-in")
    await page.get_by_label("E-Mail").fill("customer@usher.example")
    await page.get_by_label("Passwort").fill("popcorn-and-a-movie")
    await visitor.button("Anmelden").click()
    await page.wait_for_url(cinema.platform.url + "/")
    await page.goto(link)
    await expect(page.get_by_text("Es kommt in Ihr Konto customer@usher.example.")).to_be_visible()
    await visitor.button("Ticket annehmen").click()
    await expect(page.get_by_role("heading", name="Ihr Ticket")).to_be_visible()

    await page.goto("/bookings")
    await page.get_by_role("region", name="Tickets von anderen").get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name="Ihr Ticket")).to_be_visible()
    await visitor.button(re.compile("^Weitergeben: Reihe")).click()
    await page.get_by_label("E-Mail der anderen Person").fill(hedy)
    await fits_everywhere(page, visitor.button("Ticket senden"))
    await visitor.button("Ticket senden").click()
    await expect(page.get_by_text(f"Angeboten an {hedy}.")).to_be_visible()
    other = await visit("phone")
    (mail,) = await mails_to(cinema, hedy, "Ein Ticket für Sie")
    (link,) = set(re.findall(rf"{re.escape(cinema.platform.url)}/tickets/[\w-]+#key=[\w.-]+", mail["text"]))
    await other.page.goto(link)
    await other.button("Accept the ticket").click()
    await code_on(other)
    await page.reload()
    await expect(page.get_by_role("heading", name="Dieses Ticket ist nicht verfügbar")).to_be_visible()
