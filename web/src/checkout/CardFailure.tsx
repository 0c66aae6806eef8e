import { useState } from "react";
import { isProblem, Problem, sentence } from "../api/problem";
import { t } from "../i18n";
import { serverNow } from "../lib/clock";
import { clock } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { CardFormMissing } from "./stripe";

interface CardFailureProps {
  error: unknown;
  /** Until when the seats are held. */
  deadline?: string | null;
  onRetry: () => void;
}

/** Explains why the card form could not be loaded, how long the seats are held and when to retry. */
export function CardFailure({ error, deadline, onRetry }: CardFailureProps) {
  const isAway = isProblem(error, "payment_provider_unavailable");
  const wait = error instanceof Problem ? error.retryAfter : 0;
  const [readyAt] = useState(() => new Date(serverNow() + 1000 * wait).toISOString());
  const seconds = useCountdown(readyAt) ?? 0;
  const why = error instanceof CardFormMissing ? t("pay.noForm") : sentence(error);
  return (
    <div className="grid justify-items-start gap-3">
      {isAway && deadline ? (
        <div role="alert">
          <Notice kind="warn">
            <b className="block">{why}</b>
            {t("pay.keptUntil", { time: clock(deadline) })}
          </Notice>
        </div>
      ) : (
        <Notice kind="bad">{why}</Notice>
      )}
      <Button look="plain" className="tabular-nums" disabled={seconds > 0} onClick={onRetry}>
        {seconds > 0 ? t("pay.againIn", { seconds: String(seconds) }) : t("again")}
      </Button>
    </div>
  );
}
