import { expect, it, vi } from "vitest";
import type { Listed } from "./schedule";
import { asQuery, atTime, dayAfterToday } from "./wishes";

const at = (starts_at: string, time_zone = "Europe/Berlin") => ({ starts_at, time_zone }) as Listed;

it("takes the time of day at the theater", () => {
  const [noon, five, late, small, early] = [
    at("2026-11-21T11:00:00Z"),
    at("2026-11-21T16:00:00Z"),
    at("2026-11-21T22:30:00Z"),
    at("2026-11-22T03:59:00Z"),
    at("2026-11-22T04:00:00Z"),
  ] as const;
  const all = [noon, five, late, small, early];
  expect(atTime(all, "daytime")).toEqual([noon, early]);
  expect(atTime(all, "evening")).toEqual([five, late, small]);
  for (const time of ["", "tea time"]) expect(atTime(all, time)).toEqual(all);
});

it("keeps a showtime whose time of day is unknown", () => {
  const odd = [at("soon"), at("2026-11-21T20:00:00Z", "Mars/Olympus_Mons")];
  expect(atTime(odd, "evening").length + atTime(odd, "daytime").length).toBe(2);
});

it("writes only what is wished for into links", () => {
  expect(asQuery({ city: "", date: "" })).toBe("");
  expect(asQuery({ city: "São Paulo", date: "2026-11-21", time: "" })).toBe("?city=S%C3%A3o+Paulo&date=2026-11-21");
});

it("counts days over the end of a month", () => {
  vi.useFakeTimers({ now: new Date(2026, 1, 27, 23, 59) });
  expect([0, 1, 2].map(dayAfterToday)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01"]);
  vi.setSystemTime(new Date(2026, 2, 1, 4, 59));
  expect(dayAfterToday(0), "the night is still Saturday's").toBe("2026-02-28");
  vi.setSystemTime(new Date(2026, 2, 1, 5, 0));
  expect(dayAfterToday(0)).toBe("2026-03-01");
  vi.useRealTimers();
});
