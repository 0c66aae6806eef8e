import { useMutation } from "@tanstack/react-query";
import { faultOf, fieldsOf, Narrow, Refusal } from "../account/parts";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { DeviceTickets } from "./DeviceTickets";

/** Mails links to a customer who can no longer open a booking: to one by its reference, or to all upcoming ones. */
export default function LookupPage() {
  usePageTitle(t("lookup.title"));
  const ask = useMutation({
    mutationFn: ({ reference = "", email = "" }: Record<string, string>) =>
      unwrap(api.POST("/api/bookings/lookup", { body: { reference: reference.trim() || null, email } })),
  });
  return (
    <Narrow title={t("lookup.title")}>
      <DeviceTickets />
      {ask.isSuccess ? (
        <Notice kind="good">
          {t(ask.variables.reference?.trim() ? "lookup.mailed" : "lookup.mailedAll", {
            email: ask.variables.email ?? "",
          })}
        </Notice>
      ) : (
        <form className="grid gap-4" onSubmit={(event) => ask.mutate(fieldsOf(event))}>
          <p className="text-quiet">{t("lookup.text")}</p>
          <Field
            label={t("field.email")}
            name="email"
            type="email"
            autoComplete="email"
            required
            fault={faultOf(ask.error, "email")}
          />
          <Field
            label={t("field.optional", { field: t("field.reference") })}
            hint={t("lookup.hint")}
            name="reference"
            autoComplete="off"
            autoCapitalize="characters"
            spellCheck={false}
            maxLength={40}
            pattern="[^A-Za-z0-9]*([A-Za-z0-9][^A-Za-z0-9]*){1,16}"
            fault={faultOf(ask.error, "reference")}
          />
          <Refusal error={ask.error} fields={["reference", "email"]} />
          <Button type="submit" busy={ask.isPending}>
            {t("lookup.send")}
          </Button>
        </form>
      )}
    </Narrow>
  );
}
