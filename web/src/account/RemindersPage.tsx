import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Schemas, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Failure, Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { linkToken, Narrow, Refusal } from "./parts";

type Choice = Omit<Schemas["NotifierReminderChoiceRequest"], "token">;

/** The target of the link in a reminder that turns reminders off. */
export default function RemindersPage() {
  usePageTitle(t("reminders.title"));
  return (
    <Narrow title={t("reminders.title")}>
      <Choices />
    </Narrow>
  );
}

function Choices() {
  const [token] = useState(linkToken);
  const queries = useQueryClient();
  const key = ["reminders", token];
  const choose = (choice: Choice) =>
    unwrap(api.POST("/api/notifications/reminder-choices", { body: { token, ...choice } }));
  const found = useQuery({ queryKey: key, queryFn: () => choose({}), enabled: token !== "" });
  const change = useMutation({ mutationFn: choose, onSuccess: (state) => queries.setQueryData(key, state) });
  if (!token || isProblem(found.error, "reminder_link_invalid")) {
    return <Notice kind="warn">{t("problem.reminder_link_invalid")}</Notice>;
  }
  if (found.isPending) return <div aria-hidden="true" className="skeleton h-40" />;
  if (found.isError) return <Failure error={found.error} retry={() => void found.refetch()} />;
  const { booking, address } = found.data;
  const button = (choice: Choice, text: string, look: "main" | "plain") => (
    <Button look={look} busy={change.isPending} onClick={() => change.mutate(choice)}>
      {text}
    </Button>
  );
  return (
    <div className="grid justify-items-start gap-4">
      <div role="status" className="w-full">
        <Notice kind={address && booking !== false ? "info" : "good"}>{stateOf(booking, address)}</Notice>
      </div>
      <Refusal error={change.error} />
      {!address && button({ address: true }, t("reminders.allOn"), "plain")}
      {address && booking === true && button({ booking: false }, t("reminders.bookingOff"), "main")}
      {address && booking === false && button({ booking: true }, t("reminders.bookingOn"), "plain")}
      {address && button({ address: false }, t("reminders.allOff"), booking === null ? "main" : "plain")}
    </div>
  );
}

function stateOf(booking: boolean | null, address: boolean): string {
  if (!address) return t("reminders.allAreOff");
  return booking === false ? t("reminders.bookingIsOff") : t("reminders.on");
}
