import { beforeEach, describe, expect, it } from "vitest";
import type { Seat } from "./layout";
import { SeatStore } from "./store";
import { hallOf, idsOf } from "./testing";

let store: SeatStore;
let painted: string[];
let lost: Seat[];

beforeEach(() => {
  store = new SeatStore(hallOf("ssss\nssss"));
  store.applySnapshot({ version: 5, seats: { A1: "sold", A2: "held", B4: "blocked" } });
  painted = [];
  lost = [];
  store.painters.add((ids) => painted.push(...ids));
  store.onLost = (seats) => lost.push(...seats);
});

const states = () => [...store.seats.keys()].map(store.stateOf).join(" ");

describe("the seats' states", () => {
  it("start with the snapshot", () => {
    expect(states()).toBe("gone held free free free free free gone");
    expect(store.overview().free).toBe(5);
  });

  it("follow each change and repaint only changed seats", () => {
    store.applyChange({ type: "seat:lock", version: 6, seats: ["A3"], state: "held" });
    store.applyChange({ type: "seat:book", version: 7, seats: ["A2"] });
    store.applyChange({ type: "seat:release", version: 8, seats: ["B4"] });
    expect(states()).toBe("gone gone held free free free free free");
    expect(painted).toEqual(["A3", "A2", "B4"]);
    expect(store.version).toBe(8);
  });

  it("ignore changes that are older than the known version", () => {
    store.applyChange({ type: "seat:release", version: 4, seats: ["A1"] });
    expect(store.applySnapshot({ version: 4, seats: {} })).toBe(false);
    expect(states()).toBe("gone held free free free free free gone");
  });

  it("are replaced by a newer snapshot, which reports whether it changed anything", () => {
    expect(store.applySnapshot({ version: 9, seats: { A4: "held" } })).toBe(true);
    expect(states()).toBe("free free free held free free free free");
    expect(painted.sort()).toEqual(["A1", "A2", "A4", "B4"]);
    expect(store.applySnapshot({ version: 10, seats: { A4: "held" } })).toBe(false);
  });
});

describe("what the visitor wants", () => {
  it("is shown at once, and later as held", () => {
    store.setWanted(["A3", "A4"]);
    expect(store.stateOf("A3")).toBe("wanted");
    store.setOwn(["A3", "A4"]);
    store.setWanted([]);
    expect(idsOf(store.overview().own)).toEqual(["A3", "A4"]);
    expect(idsOf(store.overview().wanted)).toEqual([]);
  });

  it("is lost if someone else was faster, and the other seats stay", () => {
    store.setWanted(["A3", "A4"]);
    store.applyChange({ type: "seat:lock", version: 6, seats: ["A3"], state: "held" });
    expect(idsOf(lost)).toEqual(["A3"]);
    expect(idsOf(store.overview().wanted)).toEqual(["A4"]);
  });

  it("is not lost when the message about the visitor's own request arrives before its response", () => {
    store.setWanted(["A3"]);
    store.setPending(["A3"]);
    store.applyChange({ type: "seat:lock", version: 6, seats: ["A3"], state: "held" });
    store.setOwn(["A3"]);
    store.setWanted([]);
    store.setPending([]);
    expect(lost).toEqual([]);
    expect(store.stateOf("A3")).toBe("own");
  });

  it("counts as free for the visitor while held for them", () => {
    store.setOwn(["A2"]);
    expect(store.isFree("A2")).toBe(true);
    expect(store.isFree("A1")).toBe(false);
  });
});

describe("an expired hold", () => {
  it("frees its seats at once, and a later message can mark them as taken", () => {
    store.setOwn(["A3", "A4"]);
    store.applyChange({ type: "seat:lock", version: 6, seats: ["A3", "A4"], state: "held" });
    store.releaseOwn();
    expect([store.stateOf("A3"), store.isFree("A4"), store.stateOf("A2")]).toEqual(["free", true, "held"]);
    expect(store.overview()).toMatchObject({ own: [], free: 5 });
    store.applyChange({ type: "seat:lock", version: 7, seats: ["A4"], state: "held" });
    expect(store.isFree("A4")).toBe(false);
  });
});

describe("what others are looking at", () => {
  it("excludes the visitor's own seats and is repainted when it changes", () => {
    store.viewing = ["A3"];
    store.setViewers({ A3: 1, A4: 2 });
    expect([store.viewersOf("A3"), store.viewersOf("A4"), store.viewersOf("B1")]).toEqual([0, 2, 0]);
    store.setViewers({});
    expect(store.viewersOf("A4")).toBe(0);
    expect(painted).toContain("A4");
  });
});

describe("a gap", () => {
  it("is a change that follows a version that never arrived", () => {
    expect(store.isContiguous({ since: 5 })).toBe(true);
    expect(store.isContiguous({ since: 6 })).toBe(false);
  });
});

describe("a rejected request", () => {
  it("marks the seats as taken before a message arrives", () => {
    store.setWanted(["A3", "A4"]);
    store.setPending(["A3", "A4"]);
    store.markTaken(["A3"]);
    expect(store.stateOf("A3")).toBe("wanted");
    store.setWanted(["A4"]);
    expect(store.stateOf("A3")).toBe("held");
    expect(store.isFree("A3")).toBe(false);
  });
});
