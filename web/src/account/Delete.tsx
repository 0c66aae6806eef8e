import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { api, unwrap } from "../api/client";
import { leave } from "../api/session";
import { forgetPersonal } from "../bookings/device";
import { t } from "../i18n";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Field } from "../ui/Field";
import { fieldsOf, Refusal } from "./parts";

/** Deletes the account, after a confirmation and with the password. */
export function Delete() {
  const [isAsked, setAsked] = useState(false);
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: (password: string) => unwrap(api.POST("/api/users/me/delete", { body: { password } })),
    onSuccess: async () => {
      await navigate("/");
      forgetPersonal();
      leave();
    },
  });
  return (
    <>
      <p className="mb-4 text-quiet">{t("delete.text")}</p>
      <Button look="danger" onClick={() => setAsked(true)}>
        {t("delete.ask")}
      </Button>
      {isAsked && (
        <Dialog title={t("delete.sure")} onClose={() => setAsked(false)}>
          <form className="grid gap-4" onSubmit={(event) => remove.mutate(fieldsOf(event).password ?? "")}>
            <p>{t("delete.text")}</p>
            <Field
              label={t("field.password")}
              name="password"
              type="password"
              autoComplete="current-password"
              required
            />
            <Refusal error={remove.error} />
            <div className="flex flex-wrap gap-3">
              <Button type="submit" look="danger" busy={remove.isPending}>
                {t("delete.yes")}
              </Button>
              <Button look="plain" onClick={() => setAsked(false)}>
                {t("delete.no")}
              </Button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}
