const PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13m5 11.5L21 21",
  user: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8M4.5 20.5c.6-4 3.6-6 7.5-6s6.9 2 7.5 6",
  ticket: "M3.5 7h17v3.5a1.8 1.8 0 0 0 0 3.5V17h-17v-3a1.8 1.8 0 0 0 0-3.5zM14.5 7v10",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8M12 2.5v2m0 15v2M2.5 12h2m15 0h2M5.3 5.3l1.4 1.4m10.6 10.6 1.4 1.4m0-13.4-1.4 1.4M6.7 17.3l-1.4 1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10",
  auto: "M12 3.5a8.5 8.5 0 1 1 0 17zm0 0a8.5 8.5 0 1 0 0 17",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5",
  wide: "M13.5 10.5 20 4m-5 0h5v5M10.5 13.5 4 20m5 0H4v-5",
  cross: "m6 6 12 12m0-12L6 18",
  back: "m14.5 5-7 7 7 7",
  play: "M8 5.5v13l10.5-6.5z",
  star: "m12 3.5 2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.7l5.9-.8z",
  clock: "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17M12 7.5V12l3 2",
  check: "m5 12.5 4.5 4.5L19 7.5",
  place:
    "M12 3a6.5 6.5 0 0 1 6.5 6.5C18.5 14 12 21 12 21S5.5 14 5.5 9.5A6.5 6.5 0 0 1 12 3m0 4.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4",
};

/** A line icon in the color of the text, hidden from screen readers. */
export function Icon({
  name,
  className = "size-5",
  filled = false,
}: {
  name: keyof typeof PATHS;
  className?: string;
  filled?: boolean;
}) {
  return (
    <svg
      viewBox="0 0 24 24"
      aria-hidden="true"
      className={`shrink-0 ${className}`}
      fill={filled ? "currentColor" : "none"}
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
