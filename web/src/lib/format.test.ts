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
  weekdayAfter,
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

  it("says which of two equal times it is when clocks go back", () => {
    const night = (zone: string, hour: string, ...clocks: string[]) =>
      clocks.map((each) => clock(`${hour}:${each}Z`, zone));
    expect(night("Europe/Berlin", "2026-10-25T00", "30")).toEqual(["02:30 CEST"]);
    expect(night("Europe/Berlin", "2026-10-25T01", "30")).toEqual(["02:30 CET"]);
    expect(night("Europe/Berlin", "2026-10-24T23", "55")).toEqual(["01:55"]);
    expect(night("Europe/Berlin", "2026-10-25T02", "00")).toEqual(["03:00"]);
    expect(night("Europe/Berlin", "2026-03-29T01", "00", "30")).toEqual(["03:00", "03:30"]);
    const island = night("Australia/Lord_Howe", "2026-04-04T14", "45").concat(
      night("Australia/Lord_Howe", "2026-04-04T15", "15", "30"),
    );
    expect(island.map((each) => each.slice(0, 5))).toEqual(["01:45", "01:45", "02:00"]);
    expect(new Set(island).size).toBe(3);
    expect(clock("nonsense", "Europe/Berlin")).toBe("–");
  });

  it("has its weekday when it is listed under the day before", () => {
    expect(weekdayAfter("2026-11-20T23:15:00Z", "Europe/Berlin", "2026-11-20")).toBe("Sat");
    expect(weekdayAfter("2026-11-20T21:15:00Z", "Europe/Berlin", "2026-11-20")).toBe("");
    expect(weekdayAfter("2026-11-21T07:15:00Z", "America/Los_Angeles", "2026-11-20")).toBe("");
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
