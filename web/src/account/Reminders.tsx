import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { Failure } from "../ui/Notice";
import { Refusal } from "./parts";

const KEY = ["mine", "preferences"];

/** Turns the reminders of all bookings on and off. */
export function Reminders() {
  const queries = useQueryClient();
  const found = useQuery({ queryKey: KEY, queryFn: () => unwrap(api.GET("/api/notifications/preferences")) });
  const change = useMutation({
    mutationFn: (reminders: boolean) => unwrap(api.PUT("/api/notifications/preferences", { body: { reminders } })),
    onSuccess: (wanted) => queries.setQueryData(KEY, wanted),
  });
  if (found.isPending) return <div aria-hidden="true" className="skeleton h-12" />;
  if (found.isError) return <Failure error={found.error} retry={() => void found.refetch()} />;
  return (
    <div className="grid gap-4">
      <label className="flex min-h-11 items-center gap-3">
        <input
          type="checkbox"
          className="size-5 shrink-0 accent-accent"
          checked={change.isPending ? change.variables : found.data.reminders}
          disabled={change.isPending}
          onChange={(event) => change.mutate(event.target.checked)}
        />
        {t("reminders.wanted")}
      </label>
      <Refusal error={change.error} />
    </div>
  );
}
