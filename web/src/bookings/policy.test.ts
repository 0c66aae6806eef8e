import { beforeAll, expect, test, vi } from "vitest";
import { choose } from "../i18n";
import { policySentence } from "./policy";

const exchange = { minutes_before_start: 30, fee: 0, max_exchanges: 3 };
const tier = (minutes_before_start: number, refund_percent: number) => ({ minutes_before_start, refund_percent });
const START = "2026-12-05T19:00:00Z";

beforeAll(() => {
  vi.stubGlobal("localStorage", { setItem: () => {} });
  vi.stubGlobal("document", { documentElement: {} });
  return choose("en");
});

const sentence = (tiers: ReturnType<typeof tier>[], fee = 0) =>
  policySentence({ tiers, fee, exchange, credit_bonus_percent: 0 }, START, "Europe/Berlin", "EUR");

test("each tier has the theater's clock time", () => {
  expect(sentence([tier(120, 100), tier(30, 50)])).toMatch(
    /^You can cancel on your booking page: 100% back until 6:00.PM and 50% back until 7:30.PM, nothing after that\.$/,
  );
});

test("another day is named, and the fee is shown", () => {
  const text = sentence([tier(24 * 60, 80), tier(10, 0)], 150);
  expect(text).toContain("80% back until Friday");
  expect(text).toContain("€1.50");
  expect(text).not.toContain("0% back until 19:50");
});

test("without a refund it says so", () => {
  expect(sentence([tier(120, 0)])).toBe("Paid tickets cannot be cancelled.");
});
