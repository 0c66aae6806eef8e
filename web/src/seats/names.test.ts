import { beforeAll, describe, expect, it, vi } from "vitest";
import { choose } from "../i18n";
import { names, place } from "./labels";
import { firstRows, rows, withRoomForNames } from "./layout";
import { hallOf } from "./testing";

beforeAll(async () => {
  vi.stubGlobal("localStorage", { setItem: () => {} });
  vi.stubGlobal("document", { documentElement: {} });
  await choose("en");
});
const hall = hallOf("[Stalls]\nss\nss\n[Circle]\nss\nss\n\n[Gods]\nss");
const seat = (row: string, number: number, more: { area?: string; suffix?: string } = {}) => ({ row, number, ...more });

describe("names of seats", () => {
  it("keep row and number apart when the row is not a few letters", () => {
    expect(names([seat("F", 7)])).toBe("F7");
    expect(names([seat("ЖЖ", 12, { suffix: "a" })])).toBe("ЖЖ12a");
    expect(names([seat("1", 12), seat("Box 3", 0)])).toBe("1/12 and Box 3/0");
    expect(place(seat("1", 12, { suffix: "a" }))).toBe("Row 1, seat 12a");
  });

  it("name the area where it changes", () => {
    const [a, b, c] = [
      seat("A", 1, { area: "Stalls" }),
      seat("A", 2, { area: "Stalls" }),
      seat("A", 1, { area: "Circle" }),
    ];
    expect(names([a, b])).toBe("Stalls A1 and A2");
    expect(names([b, c])).toBe("Stalls A2 and Circle A1");
    expect(place(c)).toBe("Circle, row A, seat 1");
  });
});

describe("areas", () => {
  it("have rows of their own", () => {
    expect(rows(hall).map(({ area, row, seats }) => [area, row, seats.length])).toEqual([
      ["Stalls", "A", 2],
      ["Stalls", "B", 2],
      ["Circle", "A", 2],
      ["Circle", "B", 2],
      ["Gods", "A", 2],
    ]);
    expect(firstRows(rows(hall)).map(({ area }) => area)).toEqual(["Stalls", "Circle", "Gods"]);
  });

  it("get room for their name, unless there is an aisle above", () => {
    expect(rows(withRoomForNames(hall)).map(({ y }) => y)).toEqual([1, 2, 4, 5, 7]);
    expect(withRoomForNames({ ...hall, focal_point: { x: 1, y: 2.5 } }).focal_point).toEqual({ x: 1, y: 4.5 });
    const plain = hallOf("ss\nss");
    expect(withRoomForNames(plain).seats).toEqual(plain.seats);
  });
});
