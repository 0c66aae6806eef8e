import { type MouseEvent, useState } from "react";
import { t } from "../i18n";
import { Field } from "../ui/Field";
import { meant } from "./mistyped";

interface EmailFieldProps {
  label?: string;
  hint?: string;
  autoComplete?: string;
  defaultValue?: string | undefined;
  fault?: string | undefined;
  autoFocus?: boolean;
}

/** The address for tickets. Suggests a correction for a likely typo. */
export function EmailField({
  label = t("field.email"),
  hint = t("checkout.emailHint"),
  autoComplete = "email",
  defaultValue,
  fault,
  autoFocus = false,
}: EmailFieldProps) {
  const [better, setBetter] = useState<string | null>(null);
  const take = (event: MouseEvent<HTMLButtonElement>) => {
    const field = event.currentTarget.form?.elements.namedItem("email");
    if (field instanceof HTMLInputElement && better) field.value = better;
    setBetter(null);
  };
  return (
    <Field
      label={label}
      hint={
        better ? (
          <span role="alert">
            {t("checkout.meant")}{" "}
            <button type="button" className="link wrap-anywhere" onClick={take}>
              {better}
            </button>
          </span>
        ) : (
          hint
        )
      }
      onBlur={(event) => setBetter(meant(event.target.value))}
      name="email"
      type="email"
      autoComplete={autoComplete}
      required
      maxLength={254}
      defaultValue={defaultValue}
      fault={fault}
      autoFocus={autoFocus}
    />
  );
}
