import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { faultOf } from "../account/parts";
import { api, unwrap } from "../api/client";
import { Problem, sentence } from "../api/problem";
import { useSession } from "../api/useSession";
import { creditQuery } from "../giftcards/queries";
import { t } from "../i18n";
import { money } from "../lib/format";
import { announce } from "../ui/announce";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { type Shares, split } from "./shares";

interface TendersProps {
  price: number;
  currency: string;
  shares: Shares;
  onChange: (shares: Shares) => void;
}

/** Gift cards and credit in the checkout, with the sum step by step. */
export function Tenders({ price, currency, shares, onChange }: TendersProps) {
  const { parts, fromCredit, left } = split(price, shares);
  const session = useSession();
  const credit = useQuery({ ...creditQuery, enabled: session.state === "signed-in" });
  const mine = credit.data?.find((each) => each.currency === currency)?.balance ?? 0;
  return (
    <section className="card grid gap-4 p-5" aria-labelledby="tenders">
      <h2 id="tenders" className="text-lg">
        {t("tenders.title")}
      </h2>
      <CodeForm
        currency={currency}
        isEntered={(last) => shares.cards.some((each) => each.last_characters === last)}
        onEntered={(card) => onChange({ ...shares, cards: [...shares.cards, card] })}
        isFull={shares.cards.length === 5 || (left === 0 && parts.length > 0)}
      />
      {mine > 0 && (
        <label className="flex min-h-11 items-center gap-3">
          <input
            type="checkbox"
            className="size-5 shrink-0 accent-accent"
            checked={shares.credit > 0}
            onChange={(event) => onChange({ ...shares, credit: event.target.checked ? mine : 0 })}
          />
          {t("tenders.useCredit", { amount: money(mine, currency) })}
        </label>
      )}
      {(shares.cards.length > 0 || shares.credit > 0) && (
        <ul className="grid gap-1 border-t border-line pt-3" role="status">
          <Step label={t("tenders.price")} amount={money(price, currency)} />
          {shares.cards.map((card, index) => (
            <Step
              key={card.code}
              label={t("tenders.giftCard", { last: card.last_characters })}
              amount={money(-(parts[index] ?? 0), currency)}
              onRemove={() => onChange({ ...shares, cards: shares.cards.filter((each) => each !== card) })}
            />
          ))}
          {shares.credit > 0 && <Step label={t("tenders.credit")} amount={money(-fromCredit, currency)} />}
          <Step label={t("tenders.left")} amount={money(left, currency)} isTotal />
        </ul>
      )}
    </section>
  );
}

interface StepProps {
  label: string;
  amount: string;
  isTotal?: boolean;
  onRemove?: () => void;
}

/** One line of the sum. */
export function Step({ label, amount, isTotal = false, onRemove }: StepProps) {
  return (
    <li className={`flex items-center justify-between gap-3 ${isTotal ? "font-bold" : ""}`}>
      <span>
        {label}
        {onRemove && (
          <Button look="quiet" onClick={onRemove} aria-label={t("tenders.remove", { what: label })}>
            {t("remove")}
          </Button>
        )}
      </span>
      <span className="tabular-nums">{amount}</span>
    </li>
  );
}

interface CodeFormProps {
  currency: string;
  isEntered: (lastCharacters: string) => boolean;
  onEntered: (card: Shares["cards"][number]) => void;
  isFull: boolean;
}

function CodeForm({ currency, isEntered, onEntered, isFull }: CodeFormProps) {
  const [code, setCode] = useState("");
  const check = useMutation({
    mutationFn: (code: string) => unwrap(api.POST("/api/gift-cards/balance", { body: { code } })),
    onSuccess: (card) => {
      if (isEntered(card.last_characters)) return setCode("");
      if (card.state !== "active") throw new Problem(409, { code: "gift_card_unusable" });
      if (card.currency !== currency) throw new Problem(409, { code: "gift_card_currency" });
      onEntered({ code, last_characters: card.last_characters, balance: card.balance });
      announce(t("tenders.entered", { amount: money(card.balance, card.currency) }));
      setCode("");
    },
  });
  const submit = () => code.trim() && check.mutate(code);
  return (
    <div className="flex flex-wrap items-start gap-3">
      <Field
        className="min-w-0 grow"
        label={t("tenders.code")}
        value={code}
        onChange={(event) => setCode(event.target.value)}
        // Enter must not place the order.
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          submit();
        }}
        autoComplete="off"
        autoCapitalize="characters"
        spellCheck={false}
        maxLength={100}
        disabled={isFull}
        fault={check.isError ? (faultOf(check.error, "code") ?? sentence(check.error)) : undefined}
      />
      <Button look="plain" className="mt-7" disabled={isFull || !code.trim()} busy={check.isPending} onClick={submit}>
        {t("tenders.enter")}
      </Button>
    </div>
  );
}
