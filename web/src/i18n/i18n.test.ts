import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { clock, list } from "../lib/format";
import de from "./de";
import en from "./en";
import { choose, currentLanguage, locale, named, start, t, tn } from "./index";

const gaps = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

it("has the same keys and placeholders in every language", () => {
  expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  for (const [key, text] of Object.entries(en))
    expect([key, gaps(de[key as keyof typeof en])]).toEqual([key, gaps(text)]);
});

it("has no empty texts and few identical ones", () => {
  const same = Object.entries(en).flatMap(([key, text]) => (de[key as keyof typeof en] === text ? [text] : []));
  expect(new Set(same)).toEqual(
    new Set(
      ["Live", "Genre", "bar", "VIP", "Name", "Name (optional)", "Code", "Passkeys", "Tickets"].filter((text) =>
        same.includes(text),
      ),
    ),
  );
  for (const text of [...Object.values(en), ...Object.values(de)]) expect(text.trim()).not.toBe("");
});

it("names each genre and feature of the demo's films and theaters", () => {
  const demo = `${import.meta.dirname}/../../../services/catalog/catalog/demo`;
  const listed = (file: string, field: string) =>
    [...readFileSync(`${demo}/${file}`, "utf8").matchAll(new RegExp(`^${field} = (\\[.*\\])$`, "gm"))].flatMap(
      ([, list = "[]"]) => JSON.parse(list) as string[],
    );
  const genres = new Set(listed("movies.toml", "genres").map((code) => `genre.${code}`));
  const features = new Set(listed("theaters.toml", "features").map((code) => `feature.${code}`));
  expect([genres.size > 10, features.size > 5]).toEqual([true, true]);
  const asTheyAre = ["feature.Dolby Atmos", "feature.35 mm", "feature.70 mm"];
  expect([...genres, ...features].filter((key) => !(key in de) && !asTheyAre.includes(key))).toEqual([]);
});

it("names tickets and seats as the mails do", () => {
  const mails = `${import.meta.dirname}/../../../services/notifier/notifier/mails/texts`;
  const capitalized = (text = "") => text.charAt(0).toUpperCase() + text.slice(1);
  for (const [language, texts] of Object.entries({ en, de })) {
    const toml = readFileSync(`${mails}/${language}.toml`, "utf8");
    const section = (name: string) => {
      const [, body = ""] = new RegExp(`^\\[confirmation\\.${name}\\]\\n((?:\\w+ = .*\\n)+)`, "m").exec(toml) ?? [];
      return Object.fromEntries([...body.matchAll(/^(\w+) = "(.*)"$/gm)].map(([, code, name]) => [code, name]));
    };
    const ours = (kind: string) =>
      Object.fromEntries(
        Object.entries(texts)
          .filter(([key]) => key.startsWith(`${kind}.`))
          .map(([key, text]) => [key.slice(kind.length + 1), capitalized(text)]),
      );
    expect([language, section("ticket_types")]).toEqual([language, ours("ticket")]);
    expect([language, section("categories")]).toEqual([language, ours("category")]);
    const reference = texts["field.reference"];
    expect(toml.match(/^reference = .*$/gm)).toEqual(
      toml.match(/^reference = /gm)?.map((line) => `${line}"${reference}"`),
    );
  }
});

it("calls a ticket and a theater by one word", () => {
  for (const [key, text] of Object.entries(de)) {
    if (
      !/^(pay|booking\.refund|booking\.seatsLost|cancel\.(to|where)|choice\.refundText|theater\.map|problem\.(card|credit))/.test(
        key,
      )
    )
      expect([key, text]).toEqual([key, expect.not.stringMatching(/karte/i)]);
    expect([key, text]).toEqual([key, expect.not.stringMatching(/Lichtspielhaus|Vorführung|Billett/)]);
  }
});

describe("a text", () => {
  beforeAll(() => {
    const kept = new Map<string, string>();
    vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null, setItem: kept.set.bind(kept) });
    vi.stubGlobal("navigator", { languages: ["fr-FR", "de-AT", "en"] });
    vi.stubGlobal("document", { documentElement: {} });
  });

  it("is in the browser's first supported language", async () => {
    await start();
    expect([currentLanguage(), document.documentElement.lang, t("again")]).toEqual(["de", "de", de.again]);
  });

  it("is in the chosen language, also on the next visit", async () => {
    await choose("en");
    await start();
    expect([currentLanguage(), t("again")]).toEqual(["en", en.again]);
  });

  it("is written as in the browser's region, also in mails", async () => {
    const shown = async (...languages: string[]) => {
      vi.stubGlobal("navigator", { languages });
      await choose(languages[0]?.startsWith("de") ? "de" : "en");
      return [locale(), clock("2026-11-21T18:30:00Z", "UTC").replace(/\s/g, " ")];
    };
    expect(await shown("en-US")).toEqual(["en-US", "6:30 PM"]);
    expect(await shown("en", "en-US-u-hc-h23", "en-GB")).toEqual(["en-US", "6:30 PM"]);
    expect(await shown("de-Latn-AT-1996", "en-US")).toEqual(["de-AT", "18:30"]);
    expect(await shown("fr-CA", "en-001")).toEqual(["en-001", expect.stringMatching(/^0?6:30 pm$/i)]);
    expect(await shown("en", "C", "")).toEqual(["en-GB", "18:30"]);
    await choose("en");
  });

  it("keeps the order of what surrounds letters from right to left", () => {
    expect(t("checkout.ticketFor", { seat: "א7" })).toBe("Ticket for \u2068א7\u2069");
    expect(list(["א7", "B8"])).toBe("\u2068א7\u2069 and B8");
  });

  it("has its placeholders filled and the right plural form", () => {
    expect(t("seat.place", { row: "F", number: 7 })).toBe("Row F, seat 7");
    expect([tn("map.free", 1), tn("map.free", 0), tn("map.free", 12)]).toEqual([
      "1 seat available",
      "0 seats available",
      "12 seats available",
    ]);
  });

  it("for a code without a translation is the code in words", () => {
    expect([named("category", "love_seat"), named("category", "bean_bag"), named("ticket", "adult")]).toEqual([
      "love seat",
      "bean bag",
      "Adult",
    ]);
  });
});
