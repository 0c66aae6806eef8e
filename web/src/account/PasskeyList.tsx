import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { date } from "../lib/format";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Failure } from "../ui/Notice";
import { fieldsOf, Refusal } from "./parts";
import { addPasskey, hasPasskeys, wasDismissed } from "./passkeys";
import { SignInAgain } from "./SignInForm";

const KEY = ["mine", "passkeys"];

export function PasskeyList() {
  const queries = useQueryClient();
  const session = useSession();
  const [waiting, setWaiting] = useState<string>();
  const passkeys = useQuery({ queryKey: KEY, queryFn: () => unwrap(api.GET("/api/auth/passkeys")) });
  const refresh = () => queries.invalidateQueries({ queryKey: KEY });
  const add = useMutation({
    mutationFn: ({ password = "", name = "" }: Record<string, string>) => addPasskey(password, name),
    onSuccess: refresh,
  });
  const remove = useMutation({
    mutationFn: (passkey_id: string) =>
      unwrap(api.DELETE("/api/auth/passkeys/{passkey_id}", { params: { path: { passkey_id } } })),
    onSuccess: refresh,
    onError: (error, passkey_id) => {
      if (isProblem(error, "fresh_sign_in_needed")) setWaiting(passkey_id);
    },
  });
  if (passkeys.isPending) return <div aria-hidden="true" className="skeleton h-20" />;
  if (passkeys.isError) return <Failure error={passkeys.error} retry={() => void passkeys.refetch()} />;
  return (
    <div className="grid gap-4">
      <p className="text-quiet">{t("passkeys.text")}</p>
      <ul className="divide-y divide-line">
        {passkeys.data.items.map((passkey) => (
          <li key={passkey.passkey_id} className="flex flex-wrap items-center justify-between gap-3 py-2">
            <span>
              <b>{passkey.name}</b>
              <span className="block text-sm text-quiet">
                {t("passkeys.since", { date: date(passkey.created_at) })}
              </span>
            </span>
            <Button
              look="quiet"
              aria-label={t("passkeys.removeOne", { name: passkey.name })}
              onClick={() => remove.mutate(passkey.passkey_id)}
            >
              {t("passkeys.remove")}
            </Button>
          </li>
        ))}
      </ul>
      <Refusal error={isProblem(remove.error, "fresh_sign_in_needed") ? null : remove.error} />
      {waiting && session.user && (
        <SignInAgain
          email={session.user.email}
          onClose={() => setWaiting(undefined)}
          onDone={() => {
            setWaiting(undefined);
            remove.mutate(waiting);
          }}
        />
      )}
      {hasPasskeys() ? (
        <form className="grid max-w-md gap-4" onSubmit={(event) => add.mutate(fieldsOf(event))}>
          <Field label={t("passkeys.name")} hint={t("passkeys.nameHint")} name="name" required maxLength={100} />
          <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
          <Refusal error={wasDismissed(add.error) ? null : add.error} />
          <Button type="submit" look="plain" className="justify-self-start" busy={add.isPending}>
            {t("passkeys.add")}
          </Button>
        </form>
      ) : (
        <p className="text-sm text-quiet">{t("passkeys.cannot")}</p>
      )}
    </div>
  );
}
