import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { Refusal } from "./parts";

/** A notice for people whose address is not confirmed yet. They have a guest's rights. */
export function Unverified({ email }: { email: string }) {
  const resend = useMutation({ mutationFn: () => unwrap(api.POST("/api/auth/verify-email/resend")) });
  return (
    <div className="grid justify-items-start gap-3">
      <Notice kind="warn">{t("signUp.mailed", { email })}</Notice>
      <p className="text-quiet">{t("signUp.until")}</p>
      <Refusal error={resend.error} />
      {resend.isSuccess ? (
        <Notice kind="good">{t("verify.resent")}</Notice>
      ) : (
        <Button look="plain" busy={resend.isPending} onClick={() => resend.mutate()}>
          {t("verify.resend")}
        </Button>
      )}
    </div>
  );
}
