import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import { api, unwrap } from "../api/client";
import { enter } from "../api/session";
import { locale, t } from "../i18n";
import { Button, ButtonLink } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { faultOf, fieldsOf, Narrow, NewPassword, nextAddress, Refusal } from "./parts";

export default function SignUpPage() {
  const [params] = useSearchParams();
  const [email, setEmail] = useState("");
  usePageTitle(t("signUp.title"));
  const signUp = useMutation({
    mutationFn: ({ email: address = "", password = "", name = "" }: Record<string, string>) => {
      setEmail(address);
      const body = { email: address, password, name, locale: locale(), mode: "cookie" as const };
      return unwrap(api.POST("/api/auth/register", { body }));
    },
    onSuccess: enter,
  });
  if (signUp.isSuccess) {
    return (
      <Narrow title={t("signUp.done")}>
        <div className="grid justify-items-start gap-4">
          <Notice kind="good">{t("signUp.mailed", { email })}</Notice>
          <p className="text-quiet">{t("signUp.until")}</p>
          <ButtonLink to={nextAddress(params)}>{t("signUp.goOn")}</ButtonLink>
        </div>
      </Narrow>
    );
  }
  return (
    <Narrow title={t("signUp.title")}>
      <form className="grid gap-4" onSubmit={(event) => signUp.mutate(fieldsOf(event))}>
        <Field
          label={t("field.name")}
          name="name"
          autoComplete="name"
          required
          maxLength={100}
          fault={faultOf(signUp.error, "name")}
        />
        <Field
          label={t("field.email")}
          name="email"
          type="email"
          autoComplete="username"
          required
          fault={faultOf(signUp.error, "email")}
        />
        <NewPassword label={t("field.password")} error={signUp.error} />
        <Refusal error={signUp.error} fields={["name", "email", "password"]} />
        <Button type="submit" busy={signUp.isPending}>
          {t("signUp.title")}
        </Button>
      </form>
      <p className="mt-5">
        {t("signUp.already")}{" "}
        <Link to={`/sign-in?${params}`} className="link">
          {t("nav.signIn")}
        </Link>
      </p>
    </Narrow>
  );
}
