import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Schemas, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { accessToken, discardToken, enter } from "../api/session";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { Button, ButtonLink } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { fieldsOf, linkToken, Narrow, NewPassword, Refusal } from "./parts";

type Proof = Omit<Schemas["IdentityVerifyEmailRequest"], "token">;

/** The target of the link that confirms a new account or a new address. */
export default function VerifyPage() {
  const [token] = useState(linkToken);
  const [canChoose, setCanChoose] = useState<boolean>();
  const session = useSession();
  usePageTitle(t("verify.title"));
  const signIn = useMutation({
    mutationFn: (body: { email: string; password: string }) =>
      unwrap(api.POST("/api/auth/login", { body: { ...body, mode: "cookie" } })),
    onSuccess: enter,
  });
  const verify = useMutation({
    mutationFn: (proof: Proof) => unwrap(api.POST("/api/auth/verify-email", { body: { token, ...proof } })),
    onSuccess: async ({ email }, { password, new_password }) => {
      const known = password ?? new_password;
      if (session.state !== "signed-in" && known) return signIn.mutate({ email, password: known });
      // The next access token has the verified address.
      discardToken();
      await accessToken();
    },
    onError: (error) => {
      if (isProblem(error, "proof_needed")) setCanChoose(error.document.can_choose_password === true);
    },
  });
  if (!token || isProblem(verify.error, "link_void")) {
    return (
      <Page>
        <Notice kind="warn">{t("link.void")}</Notice>
        <Continue isSignedIn={session.state === "signed-in"} />
      </Page>
    );
  }
  if (verify.data) {
    return (
      <Page>
        <Notice kind="good">{t("verify.done", { email: verify.data.email })}</Notice>
        <Continue isSignedIn={session.state === "signed-in"} />
      </Page>
    );
  }
  if (canChoose !== undefined) {
    return (
      <Page>
        <Prove canChoose={canChoose} error={verify.error} isBusy={verify.isPending} onProof={verify.mutate} />
      </Page>
    );
  }
  // A button, because mail scanners follow links.
  return (
    <Page>
      <p>{t("verify.text")}</p>
      <Refusal error={verify.error} />
      <Button busy={verify.isPending} onClick={() => verify.mutate({})}>
        {t("verify.confirm")}
      </Button>
    </Page>
  );
}

function Page({ children }: { children: ReactNode }) {
  return (
    <Narrow title={t("verify.title")}>
      <div className="grid justify-items-start gap-4">{children}</div>
    </Narrow>
  );
}

function Continue({ isSignedIn }: { isSignedIn: boolean }) {
  return isSignedIn ? (
    <ButtonLink to="/">{t("nav.films")}</ButtonLink>
  ) : (
    <ButtonLink to="/sign-in">{t("nav.signIn")}</ButtonLink>
  );
}

interface ProveProps {
  canChoose: boolean;
  error: unknown;
  isBusy: boolean;
  onProof: (proof: Proof) => void;
}

/** Asks for the account's password, or for a new one if somebody else may have registered the address. */
function Prove({ canChoose, error, isBusy, onProof }: ProveProps) {
  const [isNew, setIsNew] = useState(false);
  return (
    <form
      key={String(isNew)}
      className="grid w-full justify-items-start gap-4"
      onSubmit={(event) => {
        const { password = "" } = fieldsOf(event);
        onProof(isNew ? { new_password: password } : { password });
      }}
    >
      <p>{isNew ? t("verify.choose") : t("verify.prove")}</p>
      <div className="w-full">
        {isNew ? (
          <NewPassword label={t("field.newPassword")} error={error} />
        ) : (
          <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
        )}
      </div>
      <Refusal error={isProblem(error, "proof_needed") ? null : error} fields={["password", "new_password"]} />
      <Button type="submit" busy={isBusy}>
        {t("verify.confirm")}
      </Button>
      {canChoose && (
        <Button look="quiet" onClick={() => setIsNew(!isNew)}>
          {isNew ? t("verify.know") : t("verify.unknown")}
        </Button>
      )}
    </form>
  );
}
