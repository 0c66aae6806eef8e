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

interface DocumentButtonsProps {
  documents: Document[];
  save: (document: Document) => Promise<void>;
  /** A label other than the usual one. */
  label?: (document: Document) => string | undefined;
  children?: ReactNode;
}

/** The buttons for documents, and other buttons after them. */
export function DocumentButtons({ documents, save, label, children }: DocumentButtonsProps) {
  const saving = useMutation({ mutationFn: save });
  return (
    <div className="no-print grid gap-3">
      <div className="flex flex-wrap gap-3">
        {usable(documents).map((document) => (
          <Button
            key={document}
            look="plain"
            busy={saving.isPending && saving.variables === document}
            onClick={() => saving.mutate(document)}
          >
            {label?.(document) ?? t(LABELS[document])}
          </Button>
        ))}
        {children}
      </div>
      {saving.isError && <Notice kind="bad">{sentence(saving.error)}</Notice>}
    </div>
  );
}

/** The buttons for the documents that the booking has, and other buttons after them. */
export function Documents({ booking, children }: { booking: Booking; children?: ReactNode }) {
  const isEnded = booking.state !== "confirmed";
  return (
    <DocumentButtons
      documents={booking.documents}
      save={(document) => saveDocument(booking, document)}
      label={(document) => (isEnded && document === "calendar" ? t("documents.calendarEnded") : undefined)}
    >
      {children}
    </DocumentButtons>
  );
}
