import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { faultOf, fieldsOf, Refusal } from "./parts";

export function Email({ email }: { email: string }) {
  const change = useMutation({
    mutationFn: ({ email: next = "", password = "" }: Record<string, string>) =>
      unwrap(api.POST("/api/users/me/email", { body: { email: next, password } })),
  });
  return (
    <>
      <p className="mb-4">{t("email.now", { email })}</p>
      {change.isSuccess ? (
        <Notice kind="good">{t("email.mailed")}</Notice>
      ) : (
        <form className="grid max-w-md gap-4" onSubmit={(event) => change.mutate(fieldsOf(event))}>
          <Field
            label={t("email.next")}
            name="email"
            type="email"
            autoComplete="email"
            required
            fault={faultOf(change.error, "email")}
          />
          <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
          <Refusal error={change.error} fields={["email"]} />
          <Button type="submit" look="plain" className="justify-self-start" busy={change.isPending}>
            {t("email.change")}
          </Button>
        </form>
      )}
    </>
  );
}
