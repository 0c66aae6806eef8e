import { type MouseEvent, useState } from "react";
import { t } from "../i18n";
import { Field } from "../ui/Field";
import { meant } from "./mistyped";

interface EmailFieldProps {
  defaultValue?: string | undefined;
  fault?: string | undefined;
  autoFocus?: boolean;
}

/** The address for the tickets. Suggests a correction for a likely typo. */
export function EmailField({ defaultValue, fault, autoFocus = false }: EmailFieldProps) {
  const [better, setBetter] = useState<string | null>(null);
  const take = (event: MouseEvent<HTMLButtonElement>) => {
    const field = event.currentTarget.form?.elements.namedItem("email");
    if (field instanceof HTMLInputElement && better) field.value = better;
    setBetter(null);
  };
  return (
    <Field
      label={t("field.email")}
      hint={
        better ? (
          <span role="alert">
            {t("checkout.meant")}{" "}
            <button type="button" className="link wrap-anywhere" onClick={take}>
              {better}
            </button>
          </span>
        ) : (
          t("checkout.emailHint")
        )
      }
      onBlur={(event) => setBetter(meant(event.target.value))}
      name="email"
      type="email"
      autoComplete="email"
      required
      maxLength={254}
      defaultValue={defaultValue}
      fault={fault}
      autoFocus={autoFocus}
    />
  );
}
