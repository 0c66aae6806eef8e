import { afterEach, expect, it, vi } from "vitest";
import { secondsUntil, serverNow, setServerTime } from "./clock";

afterEach(() => vi.useRealTimers());

it("counts by the server's clock, regardless of the local one", () => {
  vi.useFakeTimers({ now: Date.parse("2026-11-21T10:00:00Z") });
  setServerTime("2026-11-21T10:07:30Z");
  expect(serverNow()).toBe(Date.parse("2026-11-21T10:07:30Z"));
  expect(secondsUntil("2026-11-21T10:08:00Z")).toBe(30);
  vi.advanceTimersByTime(29_500);
  expect(secondsUntil("2026-11-21T10:08:00Z")).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect(secondsUntil("2026-11-21T10:08:00Z")).toBe(0);
});
