import { expect, it } from "vitest";
import de from "./de";
import en from "./en";

const gaps = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

it("has the same texts with the same gaps in every language", () => {
  expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  for (const [key, text] of Object.entries(en))
    expect([key, gaps(de[key as keyof typeof en])]).toEqual([key, gaps(text)]);
});

it("leaves no text empty, and few the same", () => {
  const same = Object.entries(en).flatMap(([key, text]) => (de[key as keyof typeof en] === text ? [text] : []));
  expect(new Set(same)).toEqual(
    new Set(["Live", "Genre", "bar", "VIP", "Name", "Code", "Passkeys"].filter((text) => same.includes(text))),
  );
  for (const text of [...Object.values(en), ...Object.values(de)]) expect(text.trim()).not.toBe("");
});
