import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, fetchAll, type Schemas, unwrap } from "../api/client";
import { discardToken } from "../api/session";
import { t } from "../i18n";
import { fullDate } from "../lib/format";
import { Button } from "../ui/Button";
import { Failure } from "../ui/Notice";
import { Refusal } from "./parts";

export function Sessions() {
  const queries = useQueryClient();
  const sessions = useQuery({
    queryKey: ["mine", "sessions"],
    queryFn: () =>
      fetchAll((cursor) => unwrap(api.GET("/api/auth/sessions", { params: { query: { cursor, limit: 100 } } }))),
  });
  const onSuccess = () => queries.invalidateQueries({ queryKey: ["mine", "sessions"] });
  const end = useMutation({
    mutationFn: (session_id: string) =>
      unwrap(api.DELETE("/api/auth/sessions/{session_id}", { params: { path: { session_id } } })),
    onSuccess,
  });
  const endOthers = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/auth/sessions", { params: { query: { keep_current: true } } })),
    onSuccess: () => {
      discardToken(); // all access tokens have ended
      return onSuccess();
    },
  });
  if (sessions.isPending) return <div aria-hidden="true" className="skeleton h-20" />;
  if (sessions.isError) return <Failure error={sessions.error} retry={() => void sessions.refetch()} />;
  return (
    <div className="grid gap-4">
      <ul className="divide-y divide-line">
        {sessions.data.map((session) => (
          <SessionRow
            key={session.session_id}
            session={session}
            isBusy={end.variables === session.session_id && end.isPending}
            onEnd={() => end.mutate(session.session_id)}
          />
        ))}
      </ul>
      <Refusal error={end.error ?? endOthers.error} />
      {sessions.data.length > 1 && (
        <Button
          look="plain"
          className="justify-self-start"
          busy={endOthers.isPending}
          onClick={() => endOthers.mutate()}
        >
          {t("sessions.endOthers")}
        </Button>
      )}
    </div>
  );
}

interface SessionRowProps {
  session: Schemas["IdentitySessionResponse"];
  isBusy: boolean;
  onEnd: () => void;
}

function SessionRow({ session, isBusy, onEnd }: SessionRowProps) {
  return (
    <li className="flex flex-wrap items-center justify-between gap-3 py-2">
      <span>
        <b>{session.device}</b>
        <span className="block text-sm text-quiet">
          {session.is_current ? t("sessions.this") : t("sessions.seen", { when: fullDate(session.last_seen_at) })}
        </span>
      </span>
      {!session.is_current && (
        <Button
          look="quiet"
          busy={isBusy}
          onClick={onEnd}
          aria-label={t("sessions.endOne", { device: session.device })}
        >
          {t("sessions.end")}
        </Button>
      )}
    </li>
  );
}
