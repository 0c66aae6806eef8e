import { Link } from "react-router";
import { isProblem, Problem } from "../api/problem";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { ButtonLink } from "../ui/Button";
import { Failure } from "../ui/Notice";

/** There is no such booking, or the visitor may not see it. */
export function Missing({ error, retry }: { error: unknown; retry: () => void }) {
  const session = useSession();
  const isVoid = isProblem(error, "booking_link_void");
  const isHidden = error === null || isVoid || (error instanceof Problem && error.status === 401);
  return (
    <div className="page grid justify-items-start gap-4 py-10">
      <h1>{t(isVoid ? "booking.linkVoid" : "booking.missing")}</h1>
      {isHidden ? (
        <>
          <p className="max-w-prose text-quiet">{t(isVoid ? "booking.linkVoidText" : "booking.missingText")}</p>
          <ButtonLink to="/find-booking">{t("lookup.title")}</ButtonLink>
        </>
      ) : (
        <Failure error={error} retry={retry} />
      )}
      {isHidden && session.state === "guest" && (
        <Link
          to={`/sign-in?next=${encodeURIComponent(location.pathname)}`}
          className="link inline-flex min-h-11 items-center"
        >
          {t("nav.signIn")}
        </Link>
      )}
    </div>
  );
}
