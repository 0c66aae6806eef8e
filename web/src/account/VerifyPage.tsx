import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { accessToken, discardToken } from "../api/session";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { linkToken, Narrow, Refusal } from "./parts";

/** The target of the link that confirms a new account or a new address. */
export default function VerifyPage() {
  const [token] = useState(linkToken);
  const session = useSession();
  usePageTitle(t("verify.title"));
  const { mutate, ...verify } = useMutation({
    mutationFn: (given: string) => unwrap(api.POST("/api/auth/verify-email", { body: { token: given } })),
    onSuccess: async () => {
      // The next access token has the verified address.
      discardToken();
      await accessToken();
    },
  });
  useEffect(() => {
    // The link is valid once, so the second run in StrictMode must not send it again.
    const timer = setTimeout(() => token && mutate(token));
    return () => clearTimeout(timer);
  }, [token, mutate]);
  return (
    <Narrow title={t("verify.title")}>
      <div className="grid justify-items-start gap-4">
        {!token || isProblem(verify.error, "link_void") ? (
          <Notice kind="warn">{t("link.void")}</Notice>
        ) : (
          <Refusal error={verify.error} />
        )}
        {verify.isPending && <p role="status">{t("verify.busy")}</p>}
        {verify.data && <Notice kind="good">{t("verify.done", { email: verify.data.email })}</Notice>}
        {session.state === "signed-in" ? (
          <ButtonLink to="/">{t("nav.films")}</ButtonLink>
        ) : (
          <ButtonLink to="/sign-in">{t("nav.signIn")}</ButtonLink>
        )}
      </div>
    </Narrow>
  );
}
