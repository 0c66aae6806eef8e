import { useEffect } from "react";
import { t, tn } from "../i18n";
import { minutesAndSeconds } from "../lib/format";
import { announce } from "./announce";
import { Icon } from "./Icon";

const SAID_AT_S = [300, 120, 60, 30];
export const SHORT_S = 60;

/** The remaining time. It is always visible, but announced to screen readers only at a few moments. */
export function Countdown({ seconds }: { seconds: number }) {
  useEffect(() => {
    if (!SAID_AT_S.includes(seconds)) return;
    announce(seconds >= 60 ? tn("countdown.minutes", seconds / 60) : tn("countdown.seconds", seconds));
  }, [seconds]);
  const look = seconds <= SHORT_S ? "bg-bad-soft text-bad" : "bg-raised text-ink";
  return (
    <p
      role="timer"
      className={`inline-flex items-center gap-1.5 rounded-full px-3 py-1.5 text-sm font-semibold tabular-nums ${look}`}
    >
      <Icon name="clock" className="size-4" />
      <span className="sr-only">{t("countdown.label")}</span>
      {minutesAndSeconds(seconds)}
    </p>
  );
}
