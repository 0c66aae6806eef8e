import { useState } from "react";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { ASK_AT_S, KeepDialog } from "../seats/HoldDialogs";
import type { Hold } from "../seats/layout";

interface ExtensionProps {
  hold: Hold;
  seconds: number | null;
  onRenewed: (hold: Hold) => void;
  onOver: () => void;
}

/** Offers to extend the hold, once, when it is about to expire while the order is filled in. */
export function Extension({ hold: { hold_id, renewable_until }, seconds, onRenewed, onOver }: ExtensionProps) {
  const [isRefused, setRefused] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const keep = async () => {
    try {
      onRenewed(await unwrap(api.POST("/api/holds/{hold_id}/renew", { params: { path: { hold_id } } })));
    } catch (error) {
      if (isProblem(error, "hold_lapsed", "hold_unknown")) onOver();
      else setProblem(error);
    }
  };
  if (!renewable_until || isRefused || !seconds || seconds > ASK_AT_S) return null;
  return <KeepDialog seconds={seconds} problem={problem} onKeep={keep} onClose={() => setRefused(true)} />;
}
