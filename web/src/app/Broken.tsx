import { useRouteError } from "react-router";
import { t } from "../i18n";
import { Button, ButtonLink } from "../ui/Button";
import { usePageTitle } from "../ui/usePageTitle";

/** The error page, for a page that failed or whose code could not be loaded. */
export function Broken() {
  const error = useRouteError();
  usePageTitle(t("broken.title"));
  const isUnloaded = error instanceof TypeError && /import|module/i.test(error.message);
  const why = isUnloaded ? (navigator.onLine ? "broken.outdated" : "problem.unreachable") : "broken.text";
  return (
    <div className="page grid justify-items-start gap-4 py-12">
      <h1>{t("broken.title")}</h1>
      <p className="text-quiet">{t(why)}</p>
      <div className="flex flex-wrap gap-3">
        <Button onClick={() => location.reload()}>{t("broken.reload")}</Button>
        <ButtonLink look="plain" to="/">
          {t("nav.films")}
        </ButtonLink>
      </div>
    </div>
  );
}

export function NotFound() {
  usePageTitle(t("missing.title"));
  return (
    <div className="page grid justify-items-start gap-4 py-12">
      <h1>{t("missing.title")}</h1>
      <p className="text-quiet">{t("missing.text")}</p>
      <ButtonLink to="/">{t("nav.films")}</ButtonLink>
    </div>
  );
}
