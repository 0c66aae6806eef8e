import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { isProblem } from "../api/problem";
import { t } from "../i18n";
import { fullDate } from "../lib/format";
import { saveFile } from "../lib/save";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Failure, Notice } from "../ui/Notice";
import { fieldsOf, Refusal } from "./parts";

const KEY = ["mine", "export"];
const ASK_MS = 3000;

/** Exports all of a person's data as one file. */
export function Export() {
  const queries = useQueryClient();
  const found = useQuery({
    queryKey: KEY,
    queryFn: () =>
      unwrap(api.GET("/api/users/me/export")).catch((error: unknown) => {
        if (isProblem(error, "export_unknown")) return null;
        throw error;
      }),
    refetchInterval: ({ state }) => (state.data?.state === "gathering" ? ASK_MS : false),
  });
  const ask = useMutation({
    mutationFn: (password: string) => unwrap(api.POST("/api/users/me/export", { body: { password } })),
    onSuccess: (begun) => queries.setQueryData(KEY, begun),
  });
  const save = useMutation({
    mutationFn: () => unwrap(api.GET("/api/users/me/export/data", { parseAs: "text" })),
    onSuccess: (data) => saveFile("usher-data.json", new Blob([String(data)], { type: "application/json" })),
  });
  if (found.isPending) return <div aria-hidden="true" className="skeleton h-20" />;
  if (found.isError) return <Failure error={found.error} retry={() => void found.refetch()} />;
  if (found.data?.state === "gathering") return <p role="status">{t("export.gathering")}</p>;
  if (found.data?.state === "ready") {
    return (
      <div className="grid justify-items-start gap-4">
        <Notice kind="good">{t("export.ready", { when: fullDate(found.data.expires_at) })}</Notice>
        <Refusal error={save.error} />
        <Button look="plain" busy={save.isPending} onClick={() => save.mutate()}>
          {t("export.save")}
        </Button>
      </div>
    );
  }
  return (
    <form className="grid max-w-md gap-4" onSubmit={(event) => ask.mutate(fieldsOf(event).password ?? "")}>
      <p className="text-quiet">{t("export.text")}</p>
      <Field label={t("field.password")} name="password" type="password" autoComplete="current-password" required />
      <Refusal error={ask.error} />
      <Button type="submit" look="plain" className="justify-self-start" busy={ask.isPending}>
        {t("export.ask")}
      </Button>
    </form>
  );
}
