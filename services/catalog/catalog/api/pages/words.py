"""The texts and formats of the pages, as in web/src/i18n and web/src/lib/format.ts."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton
from chassis import locales

TEXTS = {
    "en": {
        "site": "Usher – cinema tickets",
        "about_site": "Films, showtimes and live seats: from the film to the ticket.",
        "now_showing": "Now showing",
        "theaters": "Theaters",
        "showtimes": "Showtimes",
        "no_showtimes": "No showtimes",
        "subtitled": "{language}, {subtitles} subtitles",
        "from": "from {price}",
        "plenty": "Plenty of seats",
        "filling": "Filling up",
        "few_left": "Few seats left",
        "sold_out": "Sold out",
        "map": "View on map",
        "back": "All showtimes",
        "loading": "The seats are loading …",
    },
    "de": {
        "site": "Usher – Kinokarten",
        "about_site": "Filme, Vorstellungen und Sitzplätze in Echtzeit: vom Film bis zum Ticket.",
        "now_showing": "Jetzt im Kino",
        "theaters": "Kinos",
        "showtimes": "Vorstellungen",
        "no_showtimes": "Keine Vorstellungen",
        "subtitled": "{language} mit Untertiteln ({subtitles})",
        "from": "ab {price}",
        "plenty": "Viele Plätze frei",
        "filling": "Füllt sich",
        "few_left": "Nur noch wenige Plätze",
        "sold_out": "Ausverkauft",
        "map": "Auf der Karte anzeigen",
        "back": "Alle Vorstellungen",
        "loading": "Die Sitze werden geladen …",
    },
}


def duration(minutes: int | None) -> str:
    """`2 h 16 min`; empty if the length is unknown."""
    hours, rest = divmod(minutes or 0, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


def clock(moment: datetime, time_zone: str) -> str:
    """`19:30`, the theater's time."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%H:%M}"


def day(of: date, language: str) -> str:
    """`Sat 21 Nov`."""
    return format_skeleton("MMMEd", of, locale=locales.PAGE_LOCALES[language])


def day_and_time(moment: datetime, time_zone: str, language: str) -> str:
    """`Sat 21 Nov, 19:30`, the theater's time."""
    return f"{day(moment.astimezone(ZoneInfo(time_zone)), language)}, {clock(moment, time_zone)}"


def spoken(language: str, subtitles: str | None, page_language: str) -> str:
    """`English, German subtitles`, in the language of the page."""
    names = [locales.language_name(code, locales.PAGE_LOCALES[page_language]) for code in (language, subtitles or "")]
    return TEXTS[page_language]["subtitled"].format(language=names[0], subtitles=names[1]) if subtitles else names[0]


def price_from(amount: int, currency: str, language: str) -> str:
    """`from €13.90`."""
    return TEXTS[language]["from"].format(price=locales.money(amount, currency, locales.PAGE_LOCALES[language]))
