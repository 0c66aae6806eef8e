import { describe, expect, it } from "vitest";
import { alternative, bestAvailable, blockAround, companions, focalPoint, strandedBy } from "./choice";
import { runs, type Seat } from "./layout";
import { afterClick } from "./party";
import { hallOf, idsOf } from "./testing";

const layout = hallOf(
  `
  ssssssss
  ssssssss
  wcssssss
  sssssss.
`.trim(),
);
const all = () => true;
const except =
  (...taken: string[]) =>
  (id: string) =>
    !taken.includes(id);
const seat = (id: string) => {
  const found = layout.seats.find((each) => each.seat_id === id);
  if (!found) throw new Error(id);
  return found;
};

describe("runs of adjacent seats", () => {
  it("are within one row and not split by an aisle", () => {
    expect(runs(hallOf("ss.sss\nss")).map(idsOf)).toEqual([
      ["A1", "A2"],
      ["A3", "A4", "A5"],
      ["B1", "B2"],
    ]);
  });
});

describe("the best available seats", () => {
  it("are adjacent and as near as possible to the focal point", () => {
    const found = bestAvailable(layout, all, 2);
    expect(found?.isTogether).toBe(true);
    expect(idsOf(found?.seats)).toEqual(["C4", "C5"]);
    expect(focalPoint({ ...layout, focal_point: { x: 4, y: 1 } })).toEqual({ x: 4, y: 1 });
    expect(idsOf(bestAvailable({ ...layout, focal_point: { x: 4, y: 1 } }, all, 2)?.seats)).toEqual(["A4", "A5"]);
  });

  it("leave no single seat if that is possible", () => {
    const isFree = except("C3", "C6", "C7", "C8");
    // C4 and C5 are nearest, but either would leave the other as a single seat.
    expect(idsOf(bestAvailable(layout, isFree, 1)?.seats)).toEqual(["D4"]);
    expect(strandedBy(layout, except("C3", "C6"), [seat("C5")])).toBe(1);
    expect(strandedBy(layout, except("C3", "C6"), [seat("C4"), seat("C5")])).toBe(0);
  });

  it("are never reserved places", () => {
    const isFree = (id: string) => ["C1", "C2", "C3"].includes(id);
    expect(bestAvailable(layout, isFree, 2)).toBeNull();
    expect(idsOf(bestAvailable(layout, isFree, 1)?.seats)).toEqual(["C3"]);
  });

  it("report when the party must split, and use as few groups as possible", () => {
    const isFree = (id: string) => ["A1", "A2", "B5", "B6", "D1"].includes(id);
    const found = bestAvailable(layout, isFree, 4);
    expect(found?.isTogether).toBe(false);
    expect(idsOf(found?.seats).sort()).toEqual(["A1", "A2", "B5", "B6"]);
    expect(bestAvailable(layout, isFree, 6)).toBeNull();
  });

  it("are found for every party size in a large auditorium, adjacent and free", () => {
    const large = hallOf(Array.from({ length: 18 }, () => "ssssss.ssssssssssss.ssssss").join("\n"));
    const isFree = (id: string) => Number(id.slice(1)) % 7 !== 3;
    for (let count = 1; count <= 10; count++) {
      const found = bestAvailable(large, isFree, count);
      expect(found?.seats).toHaveLength(count);
      expect(found?.seats.every((each) => isFree(each.seat_id))).toBe(true);
      expect(new Set(idsOf(found?.seats)).size).toBe(count);
    }
  });
});

describe("a couch that is sold only whole", () => {
  const hall = hallOf("sssLLs\nLLLL");
  const at = (id: string) => hall.seats.find((each) => each.seat_id === id) as Seat;

  it("is never divided by a proposal", () => {
    for (let count = 1; count <= 8; count++) {
      const ids = idsOf(bestAvailable(hall, all, count)?.seats);
      for (const id of ids) expect([id, at(id).pair ?? id].every((half) => ids.includes(half))).toBe(true);
    }
    expect(bestAvailable(hallOf("LLLL"), all, 3)).toBeNull();
    expect(idsOf(blockAround(hall, all, at("A4"), 3))).toEqual(["A4", "A5", "A6"]);
  });

  it("is selected and removed whole", () => {
    expect(afterClick(hall, all, [], at("B2"), 2)).toEqual({ chosen: ["B1", "B2"], remark: null });
    expect(afterClick(hall, all, ["A1", "B1", "B2"], at("B1"), 3)).toEqual({ chosen: ["A1"], remark: null });
    expect(afterClick(hall, all, ["A1"], at("B3"), 3)).toEqual({ chosen: ["A1", "B3", "B4"], remark: null });
  });

  it("says so if it has more seats than the party needs", () => {
    expect(afterClick(hall, all, [], at("B2"), 1)).toEqual({ chosen: ["B1", "B2"], remark: "couch" });
    expect(afterClick(hall, all, ["A1"], at("B3"), 2)).toEqual({ chosen: ["A1", "B3", "B4"], remark: "couch" });
  });
});

describe("the alternative to lost seats", () => {
  it("is the nearest block of the same size", () => {
    const lost = [seat("A1"), seat("A2")];
    expect(idsOf(alternative(layout, except("A1", "A2"), lost)?.seats)).toEqual(["B1", "B2"]);
    expect(alternative(layout, all, [])).toBeNull();
  });
});

describe("a click", () => {
  it("selects a block around the seat, and a later one moves the block", () => {
    const first = afterClick(layout, all, [], seat("A1"), 3);
    expect(first).toEqual({ chosen: ["A1", "A2", "A3"], remark: null });
    const moved = afterClick(layout, all, first.chosen, seat("D7"), 3);
    expect(moved.chosen).toEqual(["D5", "D6", "D7"]);
  });

  it("on a selected seat removes it, and the next one completes the party", () => {
    const given = afterClick(layout, all, ["A1", "A2"], seat("A2"), 2);
    expect(given.chosen).toEqual(["A1"]);
    expect(afterClick(layout, all, given.chosen, seat("B7"), 2).chosen).toEqual(["A1", "B7"]);
  });

  it("selects the single seat and reports it if the party does not fit", () => {
    const isFree = except("A2");
    expect(afterClick(layout, isFree, [], seat("A1"), 2)).toEqual({ chosen: ["A1"], remark: "not-together" });
    expect(blockAround(layout, isFree, seat("A1"), 2)).toBeNull();
  });

  it("on a wheelchair space may include the companion seat, which is also proposed", () => {
    expect(afterClick(layout, all, [], seat("C1"), 2).chosen).toEqual(["C1", "C2"]);
    expect(idsOf(companions(layout, all, [seat("C1")]))).toEqual(["C2"]);
    expect(companions(layout, except("C2"), [seat("C1")])).toEqual([]);
    expect(companions(layout, all, [seat("C3")])).toEqual([]);
  });
});
