import { capitalized, named, t, tn } from "../i18n";
import { money } from "../lib/format";
import { Button } from "../ui/Button";
import type { Kind } from "./kinds";
import { MOST_SEATS } from "./party";

interface ToolbarProps {
  party: number;
  setParty: (count: number) => void;
  kinds: Kind[];
  /** The category of the best seats; empty for any. */
  kind: string;
  setKind: (kind: string) => void;
  hasWheelchair: boolean;
  dims: boolean;
  setDims: (dims: boolean) => void;
  isList: boolean;
  setList: (is: boolean) => void;
  isOpen: boolean;
  isBusy: boolean;
  onBest: () => void;
}

/** Controls for the number of people, the best seats, wheelchair spaces and the list view. */
export function Toolbar({
  party,
  setParty,
  kinds,
  kind,
  setKind,
  hasWheelchair,
  dims,
  setDims,
  isList,
  setList,
  isOpen,
  isBusy,
  onBest,
}: ToolbarProps) {
  return (
    <div className="mb-2 flex flex-wrap items-center gap-x-3 gap-y-1 compact:gap-x-1 compact:text-sm">
      <Button look="quiet" aria-expanded={isList} onClick={() => setList(!isList)} className="order-last compact:px-1">
        {t(isList ? "list.close" : "list.open")}
      </Button>
      <div className="flex items-center gap-2 font-semibold">
        <label htmlFor="party">{t("party.label")}</label>
        <select
          id="party"
          className="field w-auto min-w-18 rounded-full font-semibold"
          value={party}
          disabled={!isOpen}
          onChange={(event) => setParty(Number(event.target.value))}
        >
          {Array.from({ length: MOST_SEATS }, (_, index) => index + 1).map((count) => (
            <option key={count} value={count}>
              {count}
            </option>
          ))}
        </select>
      </div>
      {kinds.length > 1 && (
        <select
          aria-label={t("party.kind")}
          className="field w-auto rounded-full text-ellipsis max-sm:min-w-44 max-sm:flex-1 max-sm:px-2"
          value={kind}
          disabled={!isOpen || dims}
          onChange={(event) => setKind(event.target.value)}
        >
          {kinds.map(({ category, amount, currency, isCheapest }) => (
            <option key={category} value={category}>
              {capitalized(named("category", category))} · {money(amount, currency)}
              {isCheapest && ` · ${t("party.cheapest")}`}
            </option>
          ))}
          <option value="">{t("party.any")}</option>
        </select>
      )}
      <Button look="plain" className="compact:px-3" disabled={!isOpen || isBusy} onClick={onBest}>
        {tn("party.best", party)}
      </Button>
      <span className="grow compact:hidden" />
      {hasWheelchair && (
        <Button
          look="quiet"
          aria-pressed={dims}
          aria-label={t("party.wheelchair")}
          onClick={() => setDims(!dims)}
          className="aria-pressed:bg-accent-soft compact:px-1"
        >
          {t("party.wheelchairShort")}
        </Button>
      )}
    </div>
  );
}
