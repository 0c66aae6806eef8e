import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { fieldsOf, Narrow, Refusal } from "./parts";

export default function ForgotPage() {
  usePageTitle(t("forgot.title"));
  const ask = useMutation({
    mutationFn: (email: string) => unwrap(api.POST("/api/auth/forgot-password", { body: { email } })),
  });
  return (
    <Narrow title={t("forgot.title")}>
      {ask.isSuccess ? (
        <Notice kind="good">{t("forgot.mailed", { email: ask.variables })}</Notice>
      ) : (
        <form className="grid gap-4" onSubmit={(event) => ask.mutate(fieldsOf(event).email ?? "")}>
          <p className="text-quiet">{t("forgot.text")}</p>
          <Field label={t("field.email")} name="email" type="email" autoComplete="username" required />
          <Refusal error={ask.error} />
          <Button type="submit" busy={ask.isPending}>
            {t("forgot.send")}
          </Button>
        </form>
      )}
    </Narrow>
  );
}
