import type { Layout, Seat } from "./layout";

/** A layout from text, the row nearest the screen first: `s` seats (also `v`, `w`, `c`), `.` gaps, empty line aisle. */
export function hallOf(text: string): Layout {
  const categories: Record<string, string> = { s: "standard", v: "vip", w: "wheelchair", c: "companion" };
  const lines = text.split("\n").map((line) => line.trim());
  const seats: Seat[] = [];
  let letter = 0;
  for (const [y, line] of lines.entries()) {
    if (!line) continue;
    const row = String.fromCharCode(65 + letter++);
    let number = 0;
    for (const [x, sign] of [...line].entries()) {
      const category = categories[sign];
      if (category) seats.push({ seat_id: `${row}${++number}`, row, number, category, x, y });
    }
  }
  const columns = Math.max(...lines.map((line) => line.length));
  return { layout_id: "layout", auditorium_id: "hall", columns, rows: lines.length, seats, screen: "top", aisles: [] };
}

export const idsOf = (seats: readonly Seat[] | null | undefined): string[] => (seats ?? []).map((seat) => seat.seat_id);
