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
    mutationFn: ({ password = "", remove_factors }: Record<string, string>) =>
      unwrap(
        api.POST("/api/auth/reset-password", { body: { token, password, remove_factors: remove_factors === "on" } }),
      ),
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
          {reset.variables.remove_factors && <p>{t("reset.removal")}</p>}
          <ButtonLink to="/sign-in">{t("nav.signIn")}</ButtonLink>
        </div>
      ) : (
        <form className="grid gap-4" onSubmit={(event) => reset.mutate(fieldsOf(event))}>
          <NewPassword label={t("field.newPassword")} error={reset.error} />
          <label className="flex items-start gap-3">
            <input type="checkbox" name="remove_factors" className="mt-0.5 size-5 shrink-0 accent-accent" />
            <span>
              {t("reset.removeFactors")}
              <span className="mt-1 block text-sm text-quiet">{t("reset.removeHint")}</span>
            </span>
          </label>
          <Refusal error={reset.error} fields={["password"]} />
          <Button type="submit" busy={reset.isPending}>
            {t("reset.save")}
          </Button>
        </form>
      )}
    </Narrow>
  );
}
