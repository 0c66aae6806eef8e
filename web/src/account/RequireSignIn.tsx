import type { ReactNode } from "react";
import { useLocation } from "react-router";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { ButtonLink } from "../ui/Button";
import { Empty } from "../ui/Notice";

/** Shows its children to a signed-in person. Others are sent to the sign-in page and return here. */
export function RequireSignIn({ children }: { children: ReactNode }) {
  const session = useSession();
  const { pathname } = useLocation();
  if (session.state === "unknown") return <div aria-hidden="true" className="skeleton h-48" />;
  if (session.state === "signed-in") return children;
  return (
    <Empty title={t("signIn.needed")}>
      <div className="flex flex-wrap justify-center gap-3">
        <ButtonLink to={`/sign-in?next=${encodeURIComponent(pathname)}`}>{t("nav.signIn")}</ButtonLink>
        <ButtonLink look="plain" to={`/sign-up?next=${encodeURIComponent(pathname)}`}>
          {t("signUp.title")}
        </ButtonLink>
      </div>
    </Empty>
  );
}
