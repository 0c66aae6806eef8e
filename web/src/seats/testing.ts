import type { Layout, Seat } from "./layout";

/**
 * A layout from text, the row nearest the screen first: `s` seats (also `v`, `w`, `c`), `L` halves of couches, `.` gaps,
 * `[Area]`, empty line aisle.
 */
export function hallOf(text: string): Layout {
  const categories: Record<string, string> = {
    s: "standard",
    v: "vip",
    w: "wheelchair",
    c: "companion",
    L: "love_seat",
  };
  const lines = text.split("\n").map((line) => line.trim());
  const seats: Seat[] = [];
  let letter = 0;
  let area: string | null = null;
  let y = -1;
  for (const line of lines) {
    const name = /^\[(.+)\]$/.exec(line)?.[1];
    if (name) {
      area = name;
      letter = 0;
      continue;
    }
    y++;
    if (!line) continue;
    const row = String.fromCharCode(65 + letter++);
    const prefix = area === null || area === "Stalls" ? row : `${area[0]}${row}`;
    let number = 0;
    let halves = 0;
    for (const [x, sign] of [...line].entries()) {
      const category = categories[sign];
      if (!category) continue;
      const seat_id = `${prefix}${++number}`;
      const pair = sign === "L" ? `${prefix}${halves++ % 2 ? number - 1 : number + 1}` : null;
      seats.push({ seat_id, area, row, number, category, x, y, pair });
    }
  }
  const columns = Math.max(...lines.map((line) => line.length));
  return { layout_id: "layout", auditorium_id: "hall", columns, rows: lines.length, seats, screen: "top", aisles: [] };
}

export const idsOf = (seats: readonly Seat[] | null | undefined): string[] => (seats ?? []).map((seat) => seat.seat_id);
