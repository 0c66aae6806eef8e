import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, told } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { t, tn } from "../i18n";
import { ASK_AT_S } from "../seats/HoldDialogs";
import type { Hold } from "../seats/layout";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Notice } from "../ui/Notice";

interface ExtensionProps {
  hold: Hold | null;
  seconds: number | null;
  onExtended: (expiresAt: string) => void;
  onOver: () => void;
}

/** While somebody fills in the order and the time runs out: keep the seats, once. */
export function Extension({ hold, seconds, onExtended, onOver }: ExtensionProps) {
  const [isDone, setDone] = useState(!hold?.renewable_until);
  const renew = useMutation({
    mutationFn: (hold_id: string) => told(api.POST("/api/holds/{hold_id}/renew", { params: { path: { hold_id } } })),
    onSuccess: (renewed) => {
      setDone(true);
      onExtended(renewed.expires_at);
    },
    onError: (error) => {
      if (isProblem(error, "hold_lapsed", "hold_unknown")) onOver();
    },
  });
  if (!hold || isDone || seconds === null || seconds > ASK_AT_S || seconds === 0) return null;
  return (
    <Dialog title={t("keep.title")} onClose={() => setDone(true)}>
      <p className="mb-5">{tn("keep.text", seconds)}</p>
      {renew.isError && <Notice kind="bad">{sentence(renew.error)}</Notice>}
      <div className="flex flex-wrap gap-3">
        <Button busy={renew.isPending} onClick={() => renew.mutate(hold.hold_id)}>
          {t("keep.yes")}
        </Button>
        <Button look="plain" onClick={() => setDone(true)}>
          {t("keep.no")}
        </Button>
      </div>
    </Dialog>
  );
}
