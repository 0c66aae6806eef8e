import { t, tn } from "../i18n";
import { Button } from "../ui/Button";
import { MOST_SEATS } from "./party";

interface ToolbarProps {
  party: number;
  setParty: (count: number) => void;
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
    <div className="mb-3 flex flex-wrap items-center gap-x-2 gap-y-1 sm:gap-x-3">
      <Button
        look="quiet"
        aria-expanded={isList}
        onClick={() => setList(!isList)}
        className="order-last max-sm:text-sm"
      >
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
      <Button look="plain" disabled={!isOpen || isBusy} onClick={onBest}>
        {tn("party.best", party)}
      </Button>
      <span className="grow max-sm:hidden" />
      {hasWheelchair && (
        <Button
          look="quiet"
          aria-pressed={dims}
          onClick={() => setDims(!dims)}
          className="aria-pressed:bg-accent-soft max-sm:text-sm"
        >
          {t("party.wheelchair")}
        </Button>
      )}
    </div>
  );
}
