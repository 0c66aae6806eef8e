import { Link, Navigate, useSearchParams } from "react-router";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { usePageTitle } from "../ui/usePageTitle";
import { Narrow, nextAddress } from "./parts";
import { SignInForm } from "./SignInForm";

export default function SignInPage() {
  const [params] = useSearchParams();
  const session = useSession();
  usePageTitle(t("nav.signIn"));
  if (session.state === "signed-in") return <Navigate replace to={nextAddress(params)} />;
  return (
    <Narrow title={t("nav.signIn")}>
      <SignInForm />
      <p className="mt-5 flex flex-wrap gap-x-6">
        <Link to="/forgot-password" className="link inline-flex min-h-11 items-center">
          {t("forgot.link")}
        </Link>
        <Link to={`/sign-up?${params}`} className="link inline-flex min-h-11 items-center">
          {t("signUp.title")}
        </Link>
      </p>
      <p className="mt-2 flex flex-wrap items-center gap-x-6 text-sm text-quiet">
        {t("signIn.guest")}
        <Link to="/find-booking" className="link inline-flex min-h-11 items-center">
          {t("lookup.asGuest")}
        </Link>
      </p>
    </Narrow>
  );
}
