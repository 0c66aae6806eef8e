import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { creditQuery } from "../giftcards/queries";
import { t } from "../i18n";
import { money } from "../lib/format";
import { Failure } from "../ui/Notice";

/** The account's store credit. */
export function Credit() {
  const credit = useQuery(creditQuery);
  if (credit.isPending) return <div aria-hidden="true" className="skeleton h-12" />;
  if (credit.isError) return <Failure error={credit.error} retry={() => void credit.refetch()} />;
  const owned = credit.data.filter(({ balance }) => balance > 0);
  return (
    <div className="grid gap-2">
      {owned.map(({ balance, currency }) => (
        <b key={currency} className="text-2xl tabular-nums">
          {money(balance, currency)}
        </b>
      ))}
      <p className="text-quiet">{t(owned.length ? "credit.text" : "credit.none")}</p>
      <p>
        <Link to="/gift-cards" className="link">
          {t("giftCards.title")}
        </Link>
      </p>
    </div>
  );
}
