import type { FormEvent, ReactNode } from "react";
import { isProblem, Problem, sentence } from "../api/problem";
import { t } from "../i18n";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";

/** A narrow page with one form. */
export function Narrow({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="page max-w-lg py-8 sm:py-12">
      <h1 className="mb-5">{title}</h1>
      {children}
    </div>
  );
}

const HERE = "http://here";

/** The path to continue to, parsed as a browser would, if it belongs to this site; otherwise `/`. */
export function nextAddress(params: URLSearchParams): string {
  const next = params.get("next") ?? "/";
  if (!URL.canParse(next, HERE)) return "/";
  const { origin, pathname, search, hash } = new URL(next, HERE);
  return origin === HERE && !pathname.startsWith("//") ? pathname + search + hash : "/";
}

/** Returns a submitted form's fields as strings and prevents the browser's own submission. */
export function fieldsOf(event: FormEvent<HTMLFormElement>): Record<string, string> {
  event.preventDefault();
  return Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
}

/** The service's error message for one field, if there is one. */
export function faultOf(error: unknown, field: string): string | undefined {
  if (!(error instanceof Problem)) return undefined;
  return error.errors.find(({ loc }) => loc.at(-1) === field)?.msg;
}

/** The error of a form, unless it is shown at its fields. */
export function Refusal({ error, fields = [] }: { error: unknown; fields?: string[] }) {
  if (!error || fields.some((field) => faultOf(error, field))) return null;
  const wait = isProblem(error, "too_many_attempts") ? Number(error.document.retry_after) : 0;
  return (
    <Notice kind="bad">
      {sentence(error)} {wait > 0 && t("signIn.wait", { n: wait })}
    </Notice>
  );
}

/** A field for a new password, with the error from the form's response. */
export function NewPassword({ label, error }: { label: string; error: unknown }) {
  return (
    <Field
      label={label}
      hint={t("field.passwordHint")}
      name="password"
      type="password"
      autoComplete="new-password"
      required
      minLength={8}
      maxLength={128}
      fault={faultOf(error, "password") ?? faultOf(error, "new_password")}
    />
  );
}

/** The secret of a mailed link. It is in the fragment, which is not sent to servers. */
export const linkToken = (): string => new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
