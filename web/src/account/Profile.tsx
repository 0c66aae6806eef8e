import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, type Schemas, unwrap } from "../api/client";
import { rename } from "../api/session";
import { LANGUAGES, t } from "../i18n";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { faultOf, fieldsOf, Refusal } from "./parts";

export function Profile({ profile }: { profile: Schemas["IdentityProfileResponse"] }) {
  const queries = useQueryClient();
  const save = useMutation({
    mutationFn: ({ name, locale }: Record<string, string>) =>
      unwrap(api.PATCH("/api/users/me", { body: { name, locale } })),
    onSuccess: (changed) => {
      queries.setQueryData(["mine", "profile"], changed);
      rename(changed);
    },
  });
  return (
    <form className="grid max-w-md gap-4" onSubmit={(event) => save.mutate(fieldsOf(event))}>
      <Field
        label={t("field.name")}
        name="name"
        autoComplete="name"
        required
        maxLength={100}
        defaultValue={profile.name}
        fault={faultOf(save.error, "name")}
      />
      <label>
        <span className="mb-1 block font-semibold">{t("profile.language")}</span>
        <select name="locale" className="field" defaultValue={profile.locale?.slice(0, 2)}>
          {Object.entries(LANGUAGES).map(([code, name]) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <Refusal error={save.error} fields={["name"]} />
      {save.isSuccess && <Notice kind="good">{t("saved")}</Notice>}
      <Button type="submit" className="justify-self-start" busy={save.isPending}>
        {t("save")}
      </Button>
    </form>
  );
}
