import { useMutation, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, unwrap } from "../api/client";
import { leave } from "../api/session";
import { forgetPersonal } from "../bookings/device";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Failure } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { Credit } from "./Credit";
import { Delete } from "./Delete";
import { Email } from "./Email";
import { Export } from "./Export";
import { PasskeyList } from "./PasskeyList";
import { Password } from "./Password";
import { Profile } from "./Profile";
import { Reminders } from "./Reminders";
import { RequireSignIn } from "./RequireSignIn";
import { SecondFactor } from "./SecondFactor";
import { Sessions } from "./Sessions";
import { Unverified } from "./Unverified";

export default function AccountPage() {
  usePageTitle(t("nav.account"));
  return (
    <div className="page max-w-3xl py-6 sm:py-10">
      <h1 className="mb-6">{t("nav.account")}</h1>
      <RequireSignIn>
        <Account />
      </RequireSignIn>
    </div>
  );
}

function Account() {
  const profile = useQuery({ queryKey: ["mine", "profile"], queryFn: () => unwrap(api.GET("/api/users/me")) });
  const signOut = useMutation({
    mutationFn: () => unwrap(api.POST("/api/auth/logout", { body: {} })),
    onSuccess: () => {
      forgetPersonal();
      leave();
    },
  });
  if (profile.isPending) return <div aria-hidden="true" className="skeleton h-96" />;
  if (profile.isError) return <Failure error={profile.error} retry={() => void profile.refetch()} />;
  const { data } = profile;
  return (
    <div className="grid gap-5">
      {data.email_verified === false ? (
        <Unverified email={data.email} />
      ) : (
        <>
          <Part title={t("profile.title")}>
            <Profile profile={data} />
          </Part>
          <Part title={t("email.title")}>
            <Email email={data.email} />
          </Part>
          <Part title={t("credit.title")}>
            <Credit />
          </Part>
          <Part title={t("reminders.title")}>
            <Reminders />
          </Part>
          <Part title={t("password.title")}>
            <Password />
          </Part>
          <Part title={t("mfa.title")}>
            <SecondFactor />
          </Part>
          <Part title={t("passkeys.title")}>
            <PasskeyList />
          </Part>
        </>
      )}
      <Part title={t("sessions.title")}>
        <Sessions />
      </Part>
      {data.email_verified !== false && (
        <>
          <Part title={t("export.title")}>
            <Export />
          </Part>
          <Part title={t("delete.title")}>
            <Delete />
          </Part>
        </>
      )}
      <div>
        <Button look="plain" busy={signOut.isPending} onClick={() => signOut.mutate()}>
          {t("signOut")}
        </Button>
      </div>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card p-5 sm:p-6">
      <h2 className="mb-4 text-lg sm:text-xl">{title}</h2>
      {children}
    </section>
  );
}
