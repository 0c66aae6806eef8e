import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLocation } from "react-router";
import { faultOf, Narrow, Refusal } from "../account/parts";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { money } from "../lib/format";
import { Button, ButtonLink } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";

/** What is left on a gift card. The code of a mailed link is in the fragment, which is not sent to servers. */
export default function BalancePage() {
  usePageTitle(t("balance.title"));
  const { hash } = useLocation();
  const [code, setCode] = useState(() => new URLSearchParams(hash.slice(1)).get("code") ?? "");
  const { mutate, ...check } = useMutation({
    mutationFn: (code: string) => unwrap(api.POST("/api/gift-cards/balance", { body: { code } })),
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a followed link shows the balance at once
  useEffect(() => {
    if (code) mutate(code);
  }, []);
  const card = check.data;
  return (
    <Narrow title={t("balance.title")}>
      <form
        className="grid justify-items-start gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          mutate(code);
        }}
      >
        <Field
          className="w-full"
          label={t("tenders.code")}
          hint={t("balance.hint")}
          value={code}
          onChange={(event) => setCode(event.target.value)}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          required
          maxLength={100}
          fault={faultOf(check.error, "code")}
        />
        <Refusal error={check.error} fields={["code"]} />
        <div role="status" className="w-full">
          {card && (
            <Notice kind={card.state === "active" ? "good" : "warn"}>
              {card.state === "active"
                ? t("balance.left", { amount: money(card.balance, card.currency), last: card.last_characters })
                : t("problem.gift_card_unusable")}
            </Notice>
          )}
        </div>
        <div className="flex flex-wrap gap-3">
          <Button type="submit" busy={check.isPending}>
            {t("balance.check")}
          </Button>
          <ButtonLink look="plain" to="/">
            {t("nav.films")}
          </ButtonLink>
        </div>
      </form>
    </Narrow>
  );
}
