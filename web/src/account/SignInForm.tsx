import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { enter } from "../api/session";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Field } from "../ui/Field";
import { fieldsOf, Refusal } from "./parts";
import { hasPasskeys, signInWithPasskey, wasDismissed } from "./passkeys";

interface SignInFormProps {
  /** The address of the person who signs in again. */
  email?: string;
  onDone?: () => void;
}

/** Signs in with a password, and a code if the account needs one, or with a passkey. */
export function SignInForm({ email, onDone }: SignInFormProps) {
  const [needsCode, setNeedsCode] = useState(false);
  const signIn = useMutation({
    mutationFn: ({ email = "", password = "", code }: Record<string, string>) =>
      unwrap(api.POST("/api/auth/login", { body: { email, password, code: code || undefined, mode: "cookie" } })),
    onSuccess: (answer) => {
      enter(answer);
      onDone?.();
    },
    onError: (error) => {
      if (isProblem(error, "second_factor_needed")) setNeedsCode(true);
    },
  });
  const passkey = useMutation({ mutationFn: signInWithPasskey, onSuccess: onDone });
  const refusal = isProblem(signIn.error, "second_factor_needed") ? null : signIn.error;
  return (
    <form className="grid gap-4" onSubmit={(event) => signIn.mutate(fieldsOf(event))}>
      {email ? (
        <input type="email" name="email" autoComplete="username" value={email} readOnly hidden />
      ) : (
        <Field label={t("field.email")} name="email" type="email" autoComplete="username" required />
      )}
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
  );
}

/** Asks the signed-in person to sign in again, before an action that needs a fresh sign-in. */
export function SignInAgain({ email, onClose, onDone }: { email: string; onClose: () => void; onDone: () => void }) {
  return (
    <Dialog title={t("signIn.again")} onClose={onClose}>
      <p className="mb-4 text-quiet">{t("signIn.againText")}</p>
      <SignInForm email={email} onDone={onDone} />
      <Button look="quiet" className="mt-2 w-full" onClick={onClose}>
        {t("signIn.cancel")}
      </Button>
    </Dialog>
  );
}
