import { expect, it } from "vitest";
import { calendar } from "./calendar";
import { drawn } from "./qr";
import type { Booking } from "./queries";

const SITE = "https://cinema.example";
const booking = {
  id: "b1",
  moves: 2,
  screening: {
    starts_at: "2026-11-21T19:15:00Z",
    ends_at: "2026-11-21T21:30:00Z",
    theater_name: "Kino am Ufer; Berlin",
    auditorium_name: "Saal 1",
    address: "Uferweg 1, 10115 Berlin",
  },
} as Booking;

it("is an event from start to end with escaped characters and folded lines", () => {
  const text = calendar(booking, "Amélie", `Reihe A\n${"ü".repeat(60)}`, SITE, new Date("2026-11-20T08:00:00Z")) ?? "";
  expect(text).toContain("DTSTART:20261121T191500Z\r\nDTEND:20261121T213000Z\r\n");
  expect(text).toContain("LOCATION:Kino am Ufer\\; Berlin\\, Saal 1\\, Uferweg 1\\, 10115 Berlin\r\n");
  expect(text.replaceAll("\r\n ", "")).toContain(`DESCRIPTION:Reihe A\\n${"ü".repeat(60)}\r\n`);
  for (const line of text.split("\r\n")) expect(new TextEncoder().encode(line).length).toBeLessThanOrEqual(75);
});

it("has the identity, revision and alarm of the file in the mails", () => {
  const text = calendar(booking, "Amélie", "", SITE, new Date()) ?? "";
  for (const line of ["METHOD:PUBLISH", "UID:b1@usher", "SEQUENCE:2", "TRIGGER:-PT2H", `URL:${SITE}/bookings/b1`])
    expect(text).toContain(`\r\n${line}\r\n`);
  expect(text.match(/^(BEGIN|END):/gm)).toHaveLength(6);
});

it("needs a screening", () => {
  expect(calendar({ ...booking, screening: null }, "", "", SITE, new Date())).toBeNull();
});

it("goes with a code that holds a ticket's whole text and has a quiet zone", () => {
  const { path, size } = drawn("e".repeat(400));
  expect((size - 8 - 17) % 4).toBe(0);
  expect(path.startsWith("M4 4h1v1h-1z")).toBe(true);
});
