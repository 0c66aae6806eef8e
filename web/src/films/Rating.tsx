import { t, tn } from "../i18n";
import { decimal } from "../lib/format";
import { Icon } from "../ui/Icon";

/** The average rating; nothing if there are no reviews. */
export function Rating({ rating }: { rating: { average: number | null; count: number } }) {
  if (rating.average === null) return null;
  const average = decimal(rating.average);
  return (
    <span className="mt-0.5 inline-flex items-center gap-1 text-sm text-quiet">
      <Icon name="star" filled className="size-4 text-accent-ink" />
      <span className="sr-only">{t("rating.said", { average })}</span>
      <span aria-hidden="true" className="font-semibold text-ink">
        {average}
      </span>
      <span>{tn("rating.count", rating.count)}</span>
    </span>
  );
}
