import type { ReactNode } from "react";
import { sentence } from "../api/problem";
import { t } from "../i18n";
import { Button } from "./Button";

const LOOKS = {
  info: "bg-raised text-ink",
  good: "bg-good-soft text-good",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
};

/** A notice. Errors are announced to screen readers at once. */
export function Notice({ kind = "info", children }: { kind?: keyof typeof LOOKS; children: ReactNode }) {
  return (
    <div role={kind === "bad" ? "alert" : undefined} className={`rounded-xl px-4 py-3 ${LOOKS[kind]}`}>
      {children}
    </div>
  );
}

/** An error page for content that could not be loaded, with a way to continue. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className="my-6 grid justify-items-start gap-4">
      <Notice kind="bad">{sentence(error)}</Notice>
      {retry && (
        <Button look="plain" onClick={retry}>
          {t("again")}
        </Button>
      )}
    </div>
  );
}

/** An empty state, with a hint what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="card my-4 grid justify-items-center gap-3 px-6 py-10 text-center">
      <p className="text-lg font-semibold">{title}</p>
      {children && <div className="max-w-prose text-quiet">{children}</div>}
    </div>
  );
}
