import { expect, it } from "vitest";
import { kilometres, matches } from "./theaters";

const theater = {
  name: "Café Löwe – Straßenkino",
  address: { street: "Sokolská 3", postal_code: "120 00", city: "Praha", country: "CZ" },
};

it.each(["", "cafe", "LOWE", "löwe", "strassenkino", "straße", "praha sokolska", "120 00", " kino-lowe".slice(6)])(
  "finds a theater by %j",
  (q) => expect(matches(theater, q)).toBe(true),
);

it.each(["kino", "lowen", "praha brno", "121"])("finds no theater by %j", (q) => {
  expect(matches(theater, q)).toBe(false);
});

it("measures along the globe", () => {
  const [berlin, vienna] = [
    { latitude: 52.52, longitude: 13.405 },
    { latitude: 48.2082, longitude: 16.3738 },
  ];
  expect(kilometres(berlin, vienna)).toBeCloseTo(524, 0);
  expect(kilometres(berlin, berlin)).toBe(0);
});
