import { describe, expect, it } from "vitest";
import { clock, duration, list, longDay, minutesAndSeconds, money } from "./format";

describe("money", () => {
  it("is written in the currency's own units", () => {
    expect(money(1390, "EUR")).toBe("€13.90");
    expect(money(5, "GBP")).toBe("£0.05");
    expect(money(1390, "JPY")).toBe("JP¥1,390");
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
