import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { sentence } from "../api/problem";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { type Document, saveDocument, usable } from "./documents";
import type { Booking } from "./queries";

const LABELS = {
  tickets: "documents.tickets",
  receipt: "documents.receipt",
  calendar: "documents.calendar",
  apple_wallet: "documents.appleWallet",
  google_wallet: "documents.googleWallet",
} as const;

/** The buttons for the documents that the booking has, and other buttons after them. */
export function Documents({ booking, children }: { booking: Booking; children?: ReactNode }) {
  const save = useMutation({ mutationFn: (document: Document) => saveDocument(booking, document) });
  const label = (document: Document) =>
    document === "calendar" && booking.state !== "confirmed" ? "documents.calendarEnded" : LABELS[document];
  return (
    <div className="no-print grid gap-3">
      <div className="flex flex-wrap gap-3">
        {usable(booking).map((document) => (
          <Button
            key={document}
            look="plain"
            busy={save.isPending && save.variables === document}
            onClick={() => save.mutate(document)}
          >
            {t(label(document))}
          </Button>
        ))}
        {children}
      </div>
      {save.isError && <Notice kind="bad">{sentence(save.error)}</Notice>}
    </div>
  );
}
