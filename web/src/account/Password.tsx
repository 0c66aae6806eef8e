import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { enter } from "../api/session";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { fieldsOf, NewPassword, Refusal } from "./parts";

export function Password() {
  const queries = useQueryClient();
  const [round, setRound] = useState(0);
  const change = useMutation({
    mutationFn: ({ old_password = "", password = "" }: Record<string, string>) =>
      unwrap(api.PUT("/api/users/me/password", { body: { old_password, password, mode: "cookie" } })),
    onSuccess: (answer) => {
      enter(answer);
      setRound((count) => count + 1);
      return queries.invalidateQueries({ queryKey: ["mine", "sessions"] });
    },
  });
  return (
    <form key={round} className="grid max-w-md gap-4" onSubmit={(event) => change.mutate(fieldsOf(event))}>
      <Field label={t("password.old")} name="old_password" type="password" autoComplete="current-password" required />
      <NewPassword label={t("field.newPassword")} error={change.error} />
      <Refusal error={change.error} fields={["password"]} />
      {change.isSuccess && <Notice kind="good">{t("password.done")}</Notice>}
      <Button type="submit" look="plain" className="justify-self-start" busy={change.isPending}>
        {t("password.change")}
      </Button>
    </form>
  );
}
