import { messages, t } from "../i18n";
import { clock } from "../lib/format";

interface ProblemDocument {
  detail?: string;
  title?: string;
  code?: string;
  seats?: string[];
  instead?: string[];
  errors?: { loc: string[]; msg: string }[];
  retry_after?: number;
  /** Of a limit: what it counts, its value, and when there is room again. */
  unit?: string;
  limit?: number;
  ends_at?: string;
  [member: string]: unknown;
}

/** A response other than 2xx, or none (`status` 0, `code` "unreachable"). */
export class Problem extends Error {
  readonly code: string;
  readonly seats: string[];
  /** Alternatives to the requested seats. */
  readonly instead: string[];
  readonly errors: { loc: string[]; msg: string }[];
  /** Seconds after which to retry; 0 if the service sent none. */
  readonly retryAfter: number;

  constructor(
    readonly status: number,
    readonly document: ProblemDocument,
  ) {
    super(document.detail || document.title || "");
    this.code = document.code ?? "";
    this.seats = document.seats ?? [];
    this.instead = document.instead ?? [];
    this.errors = document.errors ?? [];
    this.retryAfter = document.retry_after ?? 0;
  }
}

/** The message for an error: the translation of its code, else the service's own text. */
export function sentence(error: unknown): string {
  if (!(error instanceof Problem)) return t("problem.unknown");
  const { unit, limit = "", ends_at } = error.document;
  const key = [`problem.${error.code}.${unit}`, `problem.${error.code}`].find((each) => each in messages());
  if (!key) return error.message || t("problem.unknown");
  const text = t(key as Parameters<typeof t>[0], { limit });
  return ends_at ? `${text} ${t("problem.until", { time: clock(ends_at) })}` : text;
}

export const isProblem = (error: unknown, ...codes: string[]): error is Problem =>
  error instanceof Problem && codes.includes(error.code);
