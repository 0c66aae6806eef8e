import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, Navigate, useSearchParams } from "react-router";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { enter } from "../api/session";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { usePageTitle } from "../ui/usePageTitle";
import { fieldsOf, Narrow, nextAddress, Refusal } from "./parts";
import { hasPasskeys, signInWithPasskey, wasDismissed } from "./passkeys";

export default function SignInPage() {
  const [params] = useSearchParams();
  const session = useSession();
  const [needsCode, setNeedsCode] = useState(false);
  usePageTitle(t("nav.signIn"));
  const signIn = useMutation({
    mutationFn: ({ email = "", password = "", code }: Record<string, string>) =>
      unwrap(api.POST("/api/auth/login", { body: { email, password, code: code || undefined, mode: "cookie" } })),
    onSuccess: enter,
    onError: (error) => {
      if (isProblem(error, "second_factor_needed")) setNeedsCode(true);
    },
  });
  const passkey = useMutation({ mutationFn: signInWithPasskey });
  if (session.state === "signed-in") return <Navigate replace to={nextAddress(params)} />;
  const refusal = isProblem(signIn.error, "second_factor_needed") ? null : signIn.error;
  return (
    <Narrow title={t("nav.signIn")}>
      <form className="grid gap-4" onSubmit={(event) => signIn.mutate(fieldsOf(event))}>
        <Field label={t("field.email")} name="email" type="email" autoComplete="username" required />
        <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
        {needsCode && (
          <Field
            label={t("field.code")}
            hint={t("signIn.codeHint")}
            name="code"
            autoComplete="one-time-code"
            minLength={6}
            required
            autoFocus
          />
        )}
        <Refusal error={refusal ?? (wasDismissed(passkey.error) ? null : passkey.error)} />
        <Button type="submit" busy={signIn.isPending}>
          {t("nav.signIn")}
        </Button>
        {hasPasskeys() && (
          <Button look="plain" busy={passkey.isPending} onClick={() => passkey.mutate()}>
            {t("signIn.passkey")}
          </Button>
        )}
      </form>
      <p className="mt-5 flex flex-wrap gap-x-6">
        <Link to="/forgot-password" className="link inline-flex min-h-11 items-center">
          {t("forgot.link")}
        </Link>
        <Link to={`/sign-up?${params}`} className="link inline-flex min-h-11 items-center">
          {t("signUp.title")}
        </Link>
      </p>
      <p className="mt-2 flex flex-wrap items-center gap-x-6 text-sm text-quiet">
        {t("signIn.guest")}
        <Link to="/find-booking" className="link inline-flex min-h-11 items-center">
          {t("lookup.asGuest")}
        </Link>
      </p>
    </Narrow>
  );
}
