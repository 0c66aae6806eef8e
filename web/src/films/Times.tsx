import { t } from "../i18n";
import { shortDay } from "../lib/format";
import { Select } from "../ui/Select";
import { dayAfterToday, TIMES } from "./wishes";

interface TimesProps {
  time: string;
  change: (changes: Record<string, string>) => void;
  className?: string;
}

/** The choice of a time of day. */
export function Times({ time, change, className = "" }: TimesProps) {
  return (
    <Select
      className={className}
      label={t("films.time")}
      all={t("films.anyTime")}
      value={time}
      onChange={(time) => change({ time })}
      options={TIMES.map((each) => [each, t(`films.${each}`)])}
    />
  );
}

/** `Today`, `Tomorrow` or `Sat 21 Nov`. The day is `2026-11-21`. */
export function dayName(day: string, name = shortDay): string {
  if (day === dayAfterToday(0)) return t("films.today");
  if (day === dayAfterToday(1)) return t("films.tomorrow");
  return name(`${day}T12:00:00`);
}
