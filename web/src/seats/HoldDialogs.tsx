import { useState } from "react";
import { sentence } from "../api/problem";
import { t, tn } from "../i18n";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Notice } from "../ui/Notice";
import { names } from "./labels";
import type { Seat } from "./layout";

/** Seconds before expiry at which the extension is offered (WCAG 2.2.1 requires at least 20). */
export const ASK_AT_S = 45;

interface KeepDialogProps {
  seconds: number;
  /** Why the hold could not be extended. */
  problem?: unknown;
  onKeep: () => Promise<void>;
  onClose: () => void;
}

/** Offers to extend the hold, once, when little time is left. */
export function KeepDialog({ seconds, problem = null, onKeep, onClose }: KeepDialogProps) {
  const [isBusy, setBusy] = useState(false);
  const keep = async () => {
    setBusy(true);
    await onKeep();
    setBusy(false);
  };
  return (
    <Dialog title={t("keep.title")} onClose={onClose}>
      <p className="mb-5">{tn("keep.text", seconds)}</p>
      {problem !== null && <Notice kind="bad">{sentence(problem)}</Notice>}
      <div className="flex flex-wrap gap-3">
        <Button busy={isBusy} onClick={() => void keep()}>
          {t("keep.yes")}
        </Button>
        <Button look="plain" onClick={onClose}>
          {t("keep.no")}
        </Button>
      </div>
    </Dialog>
  );
}

interface ExpiredDialogProps {
  seats: Seat[];
  /** Whether all of them are still free. */
  isFree: boolean;
  onAgain: () => void;
  onOther: () => void;
}

/** Offers the same seats, if they are still free, after the hold has expired. */
export function ExpiredDialog({ seats, isFree, onAgain, onOther }: ExpiredDialogProps) {
  return (
    <Dialog title={t("expired.title")} onClose={onOther}>
      <p className="mb-5">{isFree ? tn("expired.free", seats.length, { seats: names(seats) }) : t("expired.gone")}</p>
      <div className="flex flex-wrap gap-3">
        {isFree && <Button onClick={onAgain}>{tn("expired.again", seats.length)}</Button>}
        <Button look={isFree ? "plain" : "main"} onClick={onOther}>
          {t("expired.other")}
        </Button>
      </div>
    </Dialog>
  );
}
