import { type KeyboardEvent, useRef, useState } from "react";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Icon } from "../ui/Icon";

interface CodeFieldProps {
  /** The codes that apply. */
  codes: string[];
  /** Why the code that was entered last does not apply. */
  fault: string | undefined;
  busy: boolean;
  onAdd: (code: string) => void;
  onRemove: (code: string) => void;
}

/** A field for promotion codes, with the codes that apply. It is part of the order's form, so Enter must not send that. */
export function CodeField({ codes, fault, busy, onAdd, onRemove }: CodeFieldProps) {
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLDivElement>(null);
  const add = () => {
    if (!typed.trim()) return;
    onAdd(typed);
    setTyped("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  };
  const remove = (code: string) => {
    onRemove(code);
    field.current?.querySelector("input")?.focus();
  };
  return (
    <div className="mt-3 border-t border-line pt-3" ref={field}>
      <div className="flex items-end gap-3">
        <Field
          label={t("promotion.label")}
          className="grow sm:max-w-xs"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={onKeyDown}
          fault={undefined}
          maxLength={60}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
        />
        <Button look="plain" onClick={add} disabled={codes.length >= MOST_CODES} busy={busy}>
          {t("promotion.apply")}
        </Button>
      </div>
      <div role="status">
        {fault && <p className="mt-1 text-sm font-medium text-bad">{fault}</p>}
        {codes.length > 0 && (
          <ul className="mt-3 flex flex-wrap gap-2" aria-label={t("promotion.applied")}>
            {codes.map((code) => (
              <li key={code} className="flex items-center gap-1 rounded-full border border-edge bg-raised ps-4">
                <span className="font-mono text-sm break-all">{code}</span>
                <button
                  type="button"
                  className="grid size-11 shrink-0 place-items-center rounded-full text-quiet hover:text-ink"
                  aria-label={t("promotion.remove", { code })}
                  onClick={() => remove(code)}
                >
                  <Icon name="cross" className="size-4" />
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}

const MOST_CODES = 5;
