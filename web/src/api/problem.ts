import { messages, t } from "../i18n";

interface ProblemDocument {
  detail?: string;
  title?: string;
  code?: string;
  seats?: string[];
  instead?: string[];
  errors?: { loc: string[]; msg: string }[];
  retry_after?: number;
  [member: string]: unknown;
}

/** An answer that was not 2xx, or none at all (`status` 0, `code` "unreachable"). */
export class Problem extends Error {
  readonly code: string;
  readonly seats: string[];
  /** Seats that would do in place of those that were asked for. */
  readonly instead: string[];
  readonly errors: { loc: string[]; msg: string }[];
  /** Seconds after which to try again; 0 when the service does not say. */
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

/** What to tell a person about an error: this language's sentence for the code, else the service's own. */
export function sentence(error: unknown): string {
  if (!(error instanceof Problem)) return t("problem.unknown");
  const key = `problem.${error.code}`;
  if (key in messages()) return t(key as Parameters<typeof t>[0]);
  return error.message || t("problem.unknown");
}

export const isProblem = (error: unknown, ...codes: string[]): error is Problem =>
  error instanceof Problem && codes.includes(error.code);
