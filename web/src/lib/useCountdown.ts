import { useEffect, useRef, useState } from "react";
import { secondsUntil } from "./clock";

const TICK_MS = 250;

/** Seconds until a moment in server time. `onOver` is called once when they have passed. */
export function useCountdown(until: string | null | undefined, onOver?: () => void): number | null {
  const [left, setLeft] = useState(() => (until ? secondsUntil(until) : null));
  const over = useRef(onOver);
  over.current = onOver;
  useEffect(() => {
    if (!until) return setLeft(null);
    const tick = () => {
      const seconds = secondsUntil(until);
      setLeft(seconds);
      if (seconds > 0) return;
      clearInterval(timer);
      over.current?.();
    };
    const timer = setInterval(tick, TICK_MS);
    tick();
    return () => clearInterval(timer);
  }, [until]);
  return until ? left : null;
}
