import { beforeAll, expect, it, vi } from "vitest";
import { choose } from "../i18n";
import { Problem, sentence } from "./problem";

beforeAll(async () => {
  vi.stubGlobal("localStorage", { setItem: () => {} });
  vi.stubGlobal("document", { documentElement: {} });
  vi.stubGlobal("navigator", { languages: ["en-GB"] });
  await choose("en");
});

const ends_at = new Date(2026, 10, 21, 20, 5).toISOString();

it("names the limit and when there is room again", () => {
  const limits = { unit: "seats", limit: 20, ends_at };
  expect(sentence(new Problem(409, { code: "too_many_holds", ...limits }))).toMatch(
    /up to 20 unpaid seats .* again at 20:05\.$/,
  );
  expect(sentence(new Problem(409, { code: "too_many_holds", unit: "holds", limit: 3 }))).toMatch(
    / 3 selections .* first\.$/,
  );
  expect(sentence(new Problem(429, { code: "network_is_full", ...limits }))).toMatch(
    /your network .* again at 20:05\.$/,
  );
});

it("is the service's own text for a code without a translation", () => {
  expect(sentence(new Problem(400, { code: "new", detail: "This is new." }))).toBe("This is new.");
});
