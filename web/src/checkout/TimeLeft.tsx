import type { ReactNode } from "react";
import { Countdown } from "../ui/Countdown";

/** The remaining time and what it is for. It stays in sight. */
export function TimeLeft({ seconds, children }: { seconds: number; children: ReactNode }) {
  return (
    <div className="time-left sticky top-14 z-10 -mx-4 flex items-center justify-between gap-3 border-b border-line bg-ground px-4 py-2">
      <span className="text-sm text-quiet">{children}</span>
      <Countdown seconds={seconds} />
    </div>
  );
}
