import { afterEach, describe, expect, it, vi } from "vitest";
import {
  clock,
  date,
  duration,
  fullDate,
  languageName,
  list,
  longDay,
  minutesAndSeconds,
  money,
  shortDay,
} from "./format";

describe("money", () => {
  it("is written in the currency's own units", () => {
    expect(money(1390, "EUR")).toBe("€13.90");
    expect(money(5, "GBP")).toBe("£0.05");
    expect(money(1390, "JPY")).toBe("JP¥1,390");
  });

  it("is written with the digits in which it is charged, not those of daily use", () => {
    const shown = [money(2190, "ISK"), money(5120, "KWD"), money(350_000, "HUF"), money(12_000_000, "IDR")];
    expect(shown.map((text) => text.replace(/\s/g, " "))).toEqual([
      "ISK 2,190",
      "KWD 5.120",
      "HUF 3,500.00",
      "IDR 120,000.00",
    ]);
  });
});

describe("a moment", () => {
  const moment = "2026-11-21T23:30:00Z";

  it("is shown in the theater's time zone", () => {
    expect([clock(moment, "Europe/London"), clock(moment, "Europe/Berlin")]).toEqual(["23:30", "00:30"]);
    expect(longDay(moment, "Europe/London")).toMatch(/Saturday.* 21 November/);
    expect(longDay(moment, "Europe/Berlin")).toMatch(/Sunday.* 22 November/);
  });
});

describe("a duration", () => {
  it("is shown in hours and minutes", () => {
    expect([minutesAndSeconds(65), minutesAndSeconds(600), minutesAndSeconds(9)]).toEqual(["1:05", "10:00", "0:09"]);
    expect([45, 60, 136, null].map(duration)).toEqual(["45 min", "1 h", "2 h 16 min", ""]);
  });
});

it("joins seats as in a sentence", () => {
  expect(list(["F7", "F8", "F9"])).toBe("F7, F8 and F9");
});

describe("what the browser does not know", () => {
  const moment = "2026-11-21T18:30:00Z";
  afterEach(() => vi.unstubAllGlobals());

  it.each(["Mars/Olympus_Mons", "Europe/Kyiw", "not a zone", "+99:00", "\u0000"])("has times in UTC: %j", (zone) => {
    expect(clock(moment, zone)).toBe("18:30 UTC");
    expect(longDay(moment, zone)).toMatch(/Saturday.* 21 November/);
    expect(shortDay(moment, zone)).toMatch(/^Sat,? 21 Nov$/);
  });

  it("has the time of a zone that was renamed", () => {
    const Known = Intl.DateTimeFormat;
    // A browser from before 2022.
    class Old {
      constructor(locale: string, options: Intl.DateTimeFormatOptions) {
        if (options.timeZone === "Europe/Kyiv") throw new RangeError("Invalid time zone specified: Europe/Kyiv");
        // biome-ignore lint/correctness/noConstructorReturn: a stand-in for the real class
        return new Known(locale, options);
      }
    }
    vi.stubGlobal("Intl", { ...intl(), DateTimeFormat: Old });
    expect(clock("2026-07-21T18:31:00Z", "Europe/Kyiv")).toBe("21:31");
    expect(longDay("2026-07-21T22:31:00Z", "Europe/Kyiv")).toMatch(/Wednesday.* 22 July/);
  });

  it.each(["", "soon", "2026-13-45", "9".repeat(400)])("is no moment: %j", (moment) => {
    for (const format of [clock, longDay, shortDay, date, fullDate]) expect(format(moment)).toBe("–");
    expect(clock(moment, "Europe/Kyiw")).toBe("–");
  });

  it("is a currency by its code", () => {
    expect([money(1390, "EU"), money(1390, "€"), money(1390, "")]).toEqual(["13.90 EU", "13.90 €", "13.90 "]);
    expect(money(1390, "ZZZ")).toMatch(/^ZZZ\s13\.90$/);
  });

  it("is a language by the part of its tag that is known, else by its code", () => {
    const names = ["de", "en-12", "de_AT", "-", "🎬"].map(languageName);
    expect(names).toEqual(["German", "English", "German", "-", "🎬"]);
  });

  it("is a length of zero or none", () => {
    expect([duration(0), duration(null)]).toEqual(["", ""]);
  });

  it("is a whole part of Intl", () => {
    vi.stubGlobal("Intl", {});
    const formatted = [money(5, "XOF"), languageName("de"), list(["F7", "F8"])];
    expect(formatted).toEqual(["5 XOF", "de", "F7, F8"]);
  });
});

/** The parts of `Intl`, which spreading would not copy. */
const intl = () =>
  Object.fromEntries(Object.getOwnPropertyNames(Intl).map((name) => [name, Intl[name as keyof typeof Intl]]));
