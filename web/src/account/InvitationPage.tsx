import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Navigate } from "react-router";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { enter } from "../api/session";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { fieldsOf, linkToken, Narrow, NewPassword, Refusal } from "./parts";

/** The target of the link in an admin's invitation. */
export default function InvitationPage() {
  const [token] = useState(linkToken);
  usePageTitle(t("invitation.title"));
  const accept = useMutation({
    mutationFn: (password: string) =>
      unwrap(api.POST("/api/auth/accept-invitation", { body: { token, password, mode: "cookie" } })),
    onSuccess: enter,
  });
  if (accept.isSuccess) return <Navigate replace to="/account" />;
  return (
    <Narrow title={t("invitation.title")}>
      {!token || isProblem(accept.error, "link_void") ? (
        <Notice kind="warn">{t("link.void")}</Notice>
      ) : (
        <form className="grid gap-4" onSubmit={(event) => accept.mutate(fieldsOf(event).password ?? "")}>
          <p className="text-quiet">{t("invitation.text")}</p>
          <NewPassword label={t("field.newPassword")} error={accept.error} />
          <Refusal error={accept.error} fields={["password"]} />
          <Button type="submit" busy={accept.isPending}>
            {t("invitation.save")}
          </Button>
        </form>
      )}
    </Narrow>
  );
}
