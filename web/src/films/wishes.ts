// When and where the visitor wants to see a film. The wishes are in the address, and links between the pages carry them.

import { useSearchParams } from "react-router";
import { serverNow } from "../lib/clock";
import { hourIn } from "../lib/format";
import type { Listed } from "./schedule";

/** `daytime` ends at 17:00, when the evening begins; the evening ends at 5:00. */
export const TIMES = ["daytime", "evening"] as const;

export interface Wishes {
  city: string;
  /** `2026-11-21` */
  date: string;
  time: string;
}

/** Returns the wishes, a function that changes some of the address's parameters, and the wishes as a query for links. */
export function useWishes() {
  const [params, setParams] = useSearchParams();
  const of = (name: string) => params.get(name) ?? "";
  const wishes: Wishes = { city: of("city"), date: of("date"), time: of("time") };
  const change = (changes: Record<string, string>) =>
    setParams(
      (old) => {
        for (const [name, value] of Object.entries(changes)) {
          if (value) old.set(name, value);
          else old.delete(name);
        }
        return old;
      },
      { replace: true, preventScrollReset: true },
    );
  return { wishes, change, query: asQuery({ ...wishes }), params };
}

/** `?city=Berlin&date=2026-11-21`; empty if nothing is wished for. */
export function asQuery(wishes: Record<string, string>): string {
  const query = new URLSearchParams(Object.entries(wishes).filter(([, value]) => value)).toString();
  return query && `?${query}`;
}

/** The showtimes at the wished time of day; all if this page does not know the wish. */
export function atTime(listed: Listed[], time: string): Listed[] {
  if (!TIMES.some((each) => each === time)) return listed;
  return listed.filter(({ starts_at, time_zone }) => {
    const hour = hourIn(starts_at, time_zone);
    return (hour >= 17 || hour < 5) === (time === "evening");
  });
}

const DAY_STARTS_MS = 5 * 60 * 60_000;

/** Today, or a day after it, as `2026-11-21` in the visitor's time zone. Until 5:00 the night is the day before's. */
export function dayAfterToday(days: number): string {
  const day = new Date(serverNow() - DAY_STARTS_MS);
  day.setDate(day.getDate() + days);
  return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
}
