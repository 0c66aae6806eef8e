import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useSearchParams } from "react-router";
import { faultOf, Refusal } from "../account/parts";
import { api, type Schemas, unwrap } from "../api/client";
import { becomeGuest } from "../api/guest";
import { isProblem } from "../api/problem";
import { useSession } from "../api/useSession";
import { currentLanguage, named, t } from "../i18n";
import { decimals, money } from "../lib/format";
import { kindsOf } from "../seats/kinds";
import { adultPrices } from "../seats/labels";
import { seatsQuery } from "../seats/queries";
import { Button, ButtonLink } from "../ui/Button";
import { Field } from "../ui/Field";
import { Failure } from "../ui/Notice";
import { placeQuery } from "./queries";

const SIZES = Array.from({ length: 10 }, (_, index) => index + 1);

/** The form that puts a party on the waitlist. */
export function JoinForm({ showtime }: { showtime: Schemas["CatalogShowtimeResponse"] }) {
  const queries = useQueryClient();
  const session = useSession();
  const [params] = useSearchParams();
  const seating = useQuery(seatsQuery(showtime.id));
  const size = Math.min(Math.max(Number(params.get("party")) || 2, 1), 10);
  const [least, setLeast] = useState(size);
  const [most, setMost] = useState(size);
  const join = useMutation({
    mutationFn: (body: Schemas["InventoryWaitlistRequest"]) => {
      if (session.state !== "signed-in") becomeGuest();
      const path = { showtime_id: showtime.id };
      return unwrap(api.POST("/api/showtimes/{showtime_id}/waitlist", { params: { path }, body }));
    },
    onSuccess: ({ secret: _, ...place }) => queries.setQueryData(placeQuery(showtime.id).queryKey, place),
  });
  if (seating.isError) return <Failure error={seating.error} retry={() => void seating.refetch()} />;
  const kinds = seating.data ? kindsOf(seating.data.layout, adultPrices(showtime)) : [];
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const price = Number(given.get("max_price"));
    join.mutate({
      party: { min: least, max: most },
      together: given.has("together"),
      categories: given.getAll("category").map(String),
      max_price: price > 0 ? Math.round(price * 10 ** decimals(showtime.currency)) : null,
      email: String(given.get("email")),
      locale: currentLanguage(),
    });
  };
  return (
    <form className="grid gap-4" onSubmit={send}>
      <p className="text-quiet">{t("waitlist.text")}</p>
      <fieldset className="flex flex-wrap gap-4">
        <legend className="mb-1 font-semibold">{t("waitlist.party")}</legend>
        <Size
          label={t("waitlist.least")}
          value={least}
          onChange={(next) => {
            setLeast(next);
            setMost(Math.max(next, most));
          }}
        />
        <Size
          label={t("waitlist.most")}
          value={most}
          onChange={(next) => {
            setMost(next);
            setLeast(Math.min(next, least));
          }}
        />
      </fieldset>
      <Check name="together" label={t("waitlist.together")} isSet />
      {kinds.length > 1 && (
        <fieldset>
          <legend className="mb-1 font-semibold">{t("waitlist.categories")}</legend>
          {kinds.map(({ category, amount, currency }) => (
            <Check
              key={category}
              name="category"
              value={category}
              label={`${named("category", category)}, ${money(amount, currency)}`}
            />
          ))}
        </fieldset>
      )}
      <Field
        label={t("waitlist.maxPrice", { currency: showtime.currency })}
        hint={t("waitlist.maxPriceHint")}
        name="max_price"
        type="number"
        inputMode="decimal"
        min={0}
        max={100_000}
        step={10 ** -decimals(showtime.currency)}
        fault={faultOf(join.error, "max_price")}
      />
      <Field
        key={session.user?.email}
        label={t("field.email")}
        name="email"
        type="email"
        autoComplete="email"
        required
        defaultValue={session.user?.email}
        fault={faultOf(join.error, "email")}
      />
      <Refusal error={join.error} fields={["max_price", "email"]} />
      {isProblem(join.error, "seats_available") && (
        <ButtonLink to={`/showtimes/${showtime.id}`} look="plain">
          {t("waitlist.choose")}
        </ButtonLink>
      )}
      <Button type="submit" busy={join.isPending}>
        {t("waitlist.join")}
      </Button>
    </form>
  );
}

function Size({ label, value, onChange }: { label: string; value: number; onChange: (next: number) => void }) {
  return (
    <label className="min-w-24 flex-1">
      <span className="mb-1 block text-sm text-quiet">{label}</span>
      <select className="field" value={value} onChange={(event) => onChange(Number(event.target.value))}>
        {SIZES.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
}

interface CheckProps {
  name: string;
  label: string;
  value?: string;
  isSet?: boolean;
}

function Check({ name, label, value, isSet = false }: CheckProps) {
  return (
    <label className="flex min-h-11 items-center gap-3">
      <input type="checkbox" className="size-5 shrink-0 accent-accent" {...{ name, value }} defaultChecked={isSet} />
      <span className="first-letter:uppercase">{label}</span>
    </label>
  );
}
