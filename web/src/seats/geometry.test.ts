import { describe, expect, it } from "vitest";
import {
  centre,
  clamp,
  closeUp,
  fitted,
  hall,
  neighbour,
  pan,
  seatAt,
  TARGET_PX,
  toDrawing,
  toScreen,
  UNIT,
  visible,
  zoom,
} from "./geometry";
import { hallOf } from "./testing";

const layout = hallOf(
  `
  sss.sss
  sss.sss

  .sssss.
`.trim(),
);
const box = hall(layout);
const size = { width: 360, height: 300 };
const seat = (id: string) => {
  const found = layout.seats.find((each) => each.seat_id === id);
  if (!found) throw new Error(id);
  return found;
};

describe("the auditorium", () => {
  it("includes every seat, the row letters on both sides and the screen", () => {
    for (const { x, y } of layout.seats) {
      expect(x * UNIT - box.x).toBeGreaterThanOrEqual(UNIT);
      expect(box.x + box.width - (x + 1) * UNIT).toBeGreaterThanOrEqual(UNIT);
      expect(y * UNIT - box.y).toBeGreaterThanOrEqual(1.5 * UNIT);
    }
  });

  it("has its screen on the layout's side", () => {
    const below = hall({ ...layout, screen: "bottom" });
    expect(below.y).toBeGreaterThan(box.y);
    expect(below.y + below.height).toBeGreaterThan(box.y + box.height);
  });

  it("finds the seat under a point, and none in an aisle", () => {
    for (const each of layout.seats) expect(seatAt(layout, centre(each))).toBe(each);
    expect(seatAt(layout, { x: 3.5 * UNIT, y: 0.5 * UNIT })).toBeUndefined();
  });
});

describe("a view", () => {
  const whole = fitted(box, size);

  it("initially shows the whole auditorium, centered", () => {
    const shown = visible(whole, size);
    expect(shown.x).toBeLessThanOrEqual(box.x);
    expect(shown.x + shown.width).toBeGreaterThanOrEqual(box.x + box.width - 1e-6);
    expect(shown.x + shown.width / 2).toBeCloseTo(box.x + box.width / 2);
  });

  it("keeps the point under the pointer while zooming", () => {
    const near = zoom(whole, 1.7, { x: 180, y: 150 }, box, size);
    const at = { x: 150, y: 140 };
    const before = toDrawing(near, at);
    const after = toDrawing(zoom(near, 1.1, at, box, size), at);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it("stays inside the auditorium and never shows it smaller than whole", () => {
    const away = pan(zoom(whole, 2, { x: 0, y: 0 }, box, size), -9000, 9000, box, size);
    const shown = visible(away, size);
    expect(shown.x + shown.width).toBeLessThanOrEqual(box.x + box.width + 1e-6);
    expect(shown.y).toBeGreaterThanOrEqual(box.y - 1e-6);
    expect(zoom(away, 0.001, { x: 5, y: 5 }, box, size).scale).toBeCloseTo(whole.scale);
    expect(clamp(whole, box, size)).toEqual(whole);
  });

  it("makes a seat as large as a touch target when zoomed in", () => {
    const near = closeUp(centre(seat("B2")), box, size);
    expect(near.scale * UNIT).toBeGreaterThanOrEqual(TARGET_PX);
    const { x, y } = toScreen(near, centre(seat("B2")));
    expect(x).toBeGreaterThan(0);
    expect(x).toBeLessThan(size.width);
    expect(y).toBeGreaterThan(0);
    expect(y).toBeLessThan(size.height);
  });
});

describe("arrow keys", () => {
  it.each([
    ["A3", "right", "A4"],
    ["A4", "left", "A3"],
    ["A6", "right", undefined],
    ["A1", "up", undefined],
    ["A2", "down", "B2"],
    ["B3", "down", "C2"],
    ["C3", "up", "B3"],
  ] as const)("from %s %s lead to %s, across aisles", (from, direction, to) => {
    expect(neighbour(layout, seat(from), direction)?.seat_id).toBe(to);
  });
});
