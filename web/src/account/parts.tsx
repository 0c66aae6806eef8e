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

/** The address to go on to, as a browser would read it, if it is one of this site's. */
export function nextAddress(params: URLSearchParams): string {
  const next = params.get("next") ?? "/";
  if (!URL.canParse(next, HERE)) return "/";
  const { origin, pathname, search, hash } = new URL(next, HERE);
  return origin === HERE && !pathname.startsWith("//") ? pathname + search + hash : "/";
}

/** A form's fields as texts, without sending it. */
export function fieldsOf(event: FormEvent<HTMLFormElement>): Record<string, string> {
  event.preventDefault();
  return Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
}

/** What is wrong with one field, if the service says that it is this one. */
export function faultOf(error: unknown, field: string): string | undefined {
  if (!(error instanceof Problem)) return undefined;
  return error.errors.find(({ loc }) => loc.at(-1) === field)?.msg;
}

/** Why a form was refused, unless its fields tell already. */
export function Refusal({ error, fields = [] }: { error: unknown; fields?: string[] }) {
  if (!error || fields.some((field) => faultOf(error, field))) return null;
  const wait = isProblem(error, "too_many_attempts") ? Number(error.document.retry_after) : 0;
  return (
    <Notice kind="bad">
      {sentence(error)} {wait > 0 && t("signIn.wait", { n: wait })}
    </Notice>
  );
}

/** A password that is to be remembered from now on, with what the form's answer says of it. */
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
      fault={faultOf(error, "password")}
    />
  );
}

/** The secret that a mailed link brings; it stands behind `#`, where no server sees it. */
export const linkToken = (): string => new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
