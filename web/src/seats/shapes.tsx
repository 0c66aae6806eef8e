import type { SeatState } from "./store";

// Each category has its own shape and each state its own mark, so that nothing is shown by color alone.

const BODIES: Record<string, string> = {
  standard: "M8 5h24a4 4 0 0 1 4 4v18a8 8 0 0 1-8 8H12a8 8 0 0 1-8-8V9a4 4 0 0 1 4-4z",
  recliner: "M12 3h16a8 8 0 0 1 8 8v20H4V11a8 8 0 0 1 8-8zM7 33h26v4H7z",
  vip: "M20 3 36 11v18l-16 8L4 29V11z",
  love_seat: "M20 36 6.5 23.5A9.5 9.5 0 0 1 20 9.5 9.5 9.5 0 0 1 33.5 23.5z",
  wheelchair: "M4 4h32v32H4z",
  companion: "M20 4a16 16 0 1 1 0 32 16 16 0 0 1 0-32z",
};

const MARKS = {
  check: "m11 21 6 6 12-13",
  cross: "m14 14 12 12m0-12L14 26",
  dot: "M20 18a2 2 0 1 1 0 4 2 2 0 0 1 0-4",
  wheelchair: "M18 9.5a2 2 0 1 1 0 .1M18 13v8h7l3.5 7M18 16.5h6M15.5 17.5a6.5 6.5 0 1 0 8 9",
  companion: "M20 11a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7M12.5 28c.5-5 3.5-7 7.5-7s7 2 7.5 7",
};

/** The symbols that `use` refers to. Rendered once per page. */
export function Shapes() {
  return (
    <svg aria-hidden="true" className="absolute size-0">
      <defs>
        {Object.entries(BODIES).map(([name, path]) => (
          <path key={name} id={`body-${name}`} d={path} />
        ))}
        {Object.entries(MARKS).map(([name, path]) => (
          <path key={name} id={`mark-${name}`} d={path} />
        ))}
      </defs>
    </svg>
  );
}

export const bodyOf = (category: string) => `#body-${category in BODIES ? category : "standard"}`;

/** The mark on a seat; null if its number is shown. */
export function markOf(state: SeatState, category: string): string | null {
  if (state === "wanted" || state === "own") return "#mark-check";
  if (state === "gone") return "#mark-cross";
  if (state === "held") return "#mark-dot";
  return category === "wheelchair" || category === "companion" ? `#mark-${category}` : null;
}

/** A single seat, for the legend. */
export function SampleSeat({ category, state, number }: { category: string; state: SeatState; number?: number }) {
  const mark = markOf(state, category);
  return (
    <svg viewBox="0 0 40 40" aria-hidden="true" className="seats size-8 shrink-0" data-detail="true">
      <g className="seat" data-category={category} data-state={state}>
        <use className="body" href={bodyOf(category)} />
        {mark ? (
          <use className="mark" href={mark} />
        ) : (
          <text className="number" x="20" y="25">
            {number}
          </text>
        )}
      </g>
    </svg>
  );
}
