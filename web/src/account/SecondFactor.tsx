import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { api, unwrap } from "../api/client";
import { t, tn } from "../i18n";
import { fullDate } from "../lib/format";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Failure, Notice } from "../ui/Notice";
import { fieldsOf, Refusal } from "./parts";

const QrCode = lazy(() => import("../bookings/qr").then((module) => ({ default: module.QrCode })));
const KEY = ["mine", "mfa"];

/** The authenticator app: set it up, remove it, renew the recovery codes. */
export function SecondFactor() {
  const factor = useQuery({ queryKey: KEY, queryFn: () => unwrap(api.GET("/api/auth/mfa")) });
  const [codes, setCodes] = useState<string[]>([]);
  if (factor.isPending) return <div aria-hidden="true" className="skeleton h-20" />;
  if (factor.isError) return <Failure error={factor.error} retry={() => void factor.refetch()} />;
  if (codes.length) return <RecoveryCodes codes={codes} onClose={() => setCodes([])} />;
  return (
    <div className="grid gap-5">
      {factor.data.removal_at && <Removal at={factor.data.removal_at} />}
      {factor.data.totp ? (
        <Manage left={factor.data.recovery_codes_left} onCodes={setCodes} />
      ) : (
        <SetUp onCodes={setCodes} />
      )}
    </div>
  );
}

/** The removal of lost factors that was requested with a new password. */
function Removal({ at }: { at: string }) {
  const refresh = useRefresh();
  const keep = useMutation({
    mutationFn: (password: string) => unwrap(api.POST("/api/auth/mfa/keep", { body: { password } })),
    onSuccess: refresh,
  });
  return (
    <form className="grid max-w-md gap-4" onSubmit={(event) => keep.mutate(fieldsOf(event).password ?? "")}>
      <Notice kind="warn">{t("mfa.removal", { when: fullDate(at) })}</Notice>
      <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
      <Refusal error={keep.error} />
      <Button type="submit" look="plain" className="justify-self-start" busy={keep.isPending}>
        {t("mfa.keep")}
      </Button>
    </form>
  );
}

function useRefresh() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: KEY });
}

function SetUp({ onCodes }: { onCodes: (codes: string[]) => void }) {
  const refresh = useRefresh();
  const offer = useMutation({
    mutationFn: (password: string) => unwrap(api.POST("/api/auth/mfa/totp", { body: { password } })),
  });
  const confirm = useMutation({
    mutationFn: (code: string) => unwrap(api.POST("/api/auth/mfa/totp/confirm", { body: { code } })),
    onSuccess: ({ recovery_codes }) => {
      onCodes(recovery_codes);
      return refresh();
    },
  });
  if (!offer.data) {
    return (
      <form className="grid max-w-md gap-4" onSubmit={(event) => offer.mutate(fieldsOf(event).password ?? "")}>
        <p className="text-quiet">{t("mfa.text")}</p>
        <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
        <Refusal error={offer.error} />
        <Button type="submit" look="plain" className="justify-self-start" busy={offer.isPending}>
          {t("mfa.setUp")}
        </Button>
      </form>
    );
  }
  return (
    <form className="grid max-w-md gap-4" onSubmit={(event) => confirm.mutate(fieldsOf(event).code ?? "")}>
      <p>{t("mfa.scan")}</p>
      <Suspense fallback={<div aria-hidden="true" className="skeleton size-48" />}>
        <QrCode className="w-48" text={offer.data.uri} label={t("mfa.qr")} />
      </Suspense>
      <p className="text-sm text-quiet">
        {t("mfa.secret")} <code className="break-all text-ink">{offer.data.secret}</code>
      </p>
      <Field
        label={t("field.code")}
        name="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        minLength={6}
        required
      />
      <Refusal error={confirm.error} />
      <Button type="submit" className="justify-self-start" busy={confirm.isPending}>
        {t("mfa.confirm")}
      </Button>
    </form>
  );
}

function RecoveryCodes({ codes, onClose }: { codes: string[]; onClose: () => void }) {
  return (
    <div className="grid justify-items-start gap-4">
      <Notice kind="warn">{t("mfa.codes")}</Notice>
      <ul className="grid grid-cols-1 gap-x-8 gap-y-1 font-mono min-[26rem]:grid-cols-2">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <Button onClick={onClose}>{t("mfa.noted")}</Button>
    </div>
  );
}

function Manage({ left, onCodes }: { left: number; onCodes: (codes: string[]) => void }) {
  const refresh = useRefresh();
  const remove = useMutation({
    mutationFn: (body: { password: string; code: string }) => unwrap(api.POST("/api/auth/mfa/totp/remove", { body })),
    onSuccess: refresh,
  });
  const renew = useMutation({
    mutationFn: (body: { password: string; code: string }) =>
      unwrap(api.POST("/api/auth/mfa/recovery-codes", { body })),
    onSuccess: ({ recovery_codes }) => {
      onCodes(recovery_codes);
      return refresh();
    },
  });
  return (
    <form
      className="grid max-w-md gap-4"
      onSubmit={(event) => {
        const { password = "", code = "" } = fieldsOf(event);
        const isRemoval = (event.nativeEvent as SubmitEvent).submitter?.dataset.does === "remove";
        (isRemoval ? remove : renew).mutate({ password, code });
      }}
    >
      <p>
        <b>{t("mfa.on")}</b> {tn("mfa.left", left)}
      </p>
      <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
      <Field
        label={t("field.code")}
        hint={t("signIn.codeHint")}
        name="code"
        autoComplete="one-time-code"
        minLength={6}
        required
      />
      <Refusal error={remove.error ?? renew.error} />
      <div className="flex flex-wrap gap-3">
        <Button type="submit" look="plain" busy={renew.isPending}>
          {t("mfa.renew")}
        </Button>
        <Button type="submit" look="danger" data-does="remove" busy={remove.isPending}>
          {t("mfa.remove")}
        </Button>
      </div>
    </form>
  );
}
