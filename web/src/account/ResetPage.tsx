import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { leave } from "../api/session";
import { t } from "../i18n";
import { Button, ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { fieldsOf, linkToken, Narrow, NewPassword, Refusal } from "./parts";

export default function ResetPage() {
  const [token] = useState(linkToken);
  usePageTitle(t("reset.title"));
  const reset = useMutation({
    mutationFn: (password: string) =>
      unwrap(api.POST("/api/auth/reset-password", { body: { token, password, remove_factors: false } })),
    onSuccess: leave,
  });
  if (!token || isProblem(reset.error, "link_void")) {
    return (
      <Narrow title={t("reset.title")}>
        <div className="grid justify-items-start gap-4">
          <Notice kind="warn">{t("link.void")}</Notice>
          <Link to="/forgot-password" className="link inline-flex min-h-11 items-center">
            {t("forgot.title")}
          </Link>
        </div>
      </Narrow>
    );
  }
  return (
    <Narrow title={t("reset.title")}>
      {reset.isSuccess ? (
        <div className="grid justify-items-start gap-4">
          <Notice kind="good">{t("reset.done")}</Notice>
          <ButtonLink to="/sign-in">{t("nav.signIn")}</ButtonLink>
        </div>
      ) : (
        <form className="grid gap-4" onSubmit={(event) => reset.mutate(fieldsOf(event).password ?? "")}>
          <NewPassword label={t("field.newPassword")} error={reset.error} />
          <Refusal error={reset.error} fields={["password"]} />
          <Button type="submit" busy={reset.isPending}>
            {t("reset.save")}
          </Button>
        </form>
      )}
    </Narrow>
  );
}
