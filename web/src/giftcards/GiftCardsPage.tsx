import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { faultOf, fieldsOf, Narrow, Refusal } from "../account/parts";
import { api, type Schemas, unwrap } from "../api/client";
import { becomeGuest } from "../api/guest";
import { useSession } from "../api/useSession";
import { theatersQuery } from "../films/queries";
import { currentLanguage, t } from "../i18n";
import { decimals, money } from "../lib/format";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { usePageTitle } from "../ui/usePageTitle";

const PRESETS = [20, 30, 50, 100];

/** The shop for gift cards. */
export default function GiftCardsPage() {
  usePageTitle(t("giftCards.title"));
  const session = useSession();
  const navigate = useNavigate();
  const theaters = useQuery(theatersQuery);
  const currencies = [...new Set(theaters.data?.map((theater) => theater.currency))].sort();
  const [wanted, setCurrency] = useState("");
  const currency = wanted || currencies[0] || "EUR";
  const [amount, setAmount] = useState("30");
  const buy = useMutation({
    mutationFn: (body: Schemas["PaymentGiftCardRequest"]) => {
      if (session.state !== "signed-in") becomeGuest();
      return unwrap(api.POST("/api/gift-cards", { body }));
    },
    onSuccess: ({ id }) => navigate(`/gift-cards/${id}`),
  });
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  return (
    <Narrow title={t("giftCards.title")}>
      <p className="mb-5 text-quiet">
        {t("giftCards.text")}{" "}
        <Link to="/gift-cards/balance" className="link">
          {t("balance.title")}
        </Link>
      </p>
      <form
        className="card grid gap-4 p-5"
        onSubmit={(event) => {
          const given = fieldsOf(event);
          buy.mutate({
            amount: Math.round(Number(amount) * 10 ** decimals(currency)),
            currency,
            recipient_email: given.email ?? "",
            sender: given.sender?.trim() || null,
            message: given.message?.trim() || null,
            // In the morning of the buyer's day.
            deliver_at: given.day ? new Date(`${given.day}T08:00`).toISOString() : null,
            locale: currentLanguage(),
          });
        }}
      >
        <fieldset className="grid gap-2">
          <legend className="mb-1 font-semibold">{t("giftCards.amount")}</legend>
          <div className="flex flex-wrap gap-2">
            {PRESETS.map((preset) => (
              <Button
                key={preset}
                look={Number(amount) === preset ? "main" : "plain"}
                aria-pressed={Number(amount) === preset}
                onClick={() => setAmount(String(preset))}
              >
                {money(preset * 10 ** decimals(currency), currency)}
              </Button>
            ))}
          </div>
          <div className="flex flex-wrap gap-3">
            <Field
              className="min-w-0 grow"
              label={t("giftCards.other", { currency })}
              type="number"
              inputMode="decimal"
              min={0}
              step={10 ** -decimals(currency)}
              required
              value={amount}
              onChange={(event) => setAmount(event.target.value)}
            />
            {currencies.length > 1 && (
              <label className="grid gap-1 font-semibold">
                {t("giftCards.currency")}
                <select className="field" value={currency} onChange={(event) => setCurrency(event.target.value)}>
                  {currencies.map((each) => (
                    <option key={each}>{each}</option>
                  ))}
                </select>
              </label>
            )}
          </div>
        </fieldset>
        <Field
          label={t("giftCards.recipient")}
          hint={t("giftCards.recipientHint")}
          name="email"
          type="email"
          autoComplete="off"
          required
          maxLength={254}
          fault={faultOf(buy.error, "recipient_email")}
        />
        <Field
          label={t("giftCards.sender")}
          name="sender"
          autoComplete="name"
          maxLength={100}
          defaultValue={session.user?.name}
          fault={faultOf(buy.error, "sender")}
        />
        <label className="grid gap-1 font-semibold">
          {t("giftCards.message")}
          <textarea className="field min-h-24 py-2 font-normal" name="message" maxLength={500} />
        </label>
        <Field label={t("giftCards.day")} hint={t("giftCards.dayHint")} name="day" type="date" min={tomorrow} />
        <Refusal error={buy.error} fields={["recipient_email", "sender"]} />
        <Button type="submit" busy={buy.isPending}>
          {t("giftCards.toPayment")}
        </Button>
      </form>
    </Narrow>
  );
}
