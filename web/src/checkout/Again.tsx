import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "react-router";
import { api, unwrap } from "../api/client";
import { becomeGuest } from "../api/guest";
import { sentence } from "../api/problem";
import { current } from "../api/session";
import { t, tn } from "../i18n";
import { type Named, names } from "../seats/labels";
import { Button, ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";

interface AgainProps {
  showtimeId: string;
  seats: (Named & { seat_id: string })[];
}

/** Offers the same or other seats after a checkout has expired. The chosen ticket types are kept. */
export function Again({ showtimeId, seats }: AgainProps) {
  const navigate = useNavigate();
  const again = useMutation({
    mutationFn: () => {
      if (current().state === "guest") becomeGuest();
      const params = { path: { showtime_id: showtimeId } };
      return unwrap(
        api.POST("/api/showtimes/{showtime_id}/holds", { params, body: { seats: seats.map((seat) => seat.seat_id) } }),
      );
    },
    onSuccess: (hold) => navigate(`/checkout/${hold.hold_id}`, { replace: true }),
  });
  return (
    <div className="page grid max-w-2xl justify-items-start gap-5 py-10">
      <h1>{t("expired.title")}</h1>
      <p>{t("expired.noMoney")}</p>
      {again.isError ? (
        <Notice kind="warn">{sentence(again.error)}</Notice>
      ) : (
        <p>{tn("expired.try", seats.length, { seats: names(seats) })}</p>
      )}
      <div className="flex flex-wrap gap-3">
        {!again.isError && (
          <Button busy={again.isPending} onClick={() => again.mutate()}>
            {tn("expired.again", seats.length)}
          </Button>
        )}
        <ButtonLink look={again.isError ? "main" : "plain"} to={`/showtimes/${showtimeId}`}>
          {t("expired.other")}
        </ButtonLink>
      </div>
    </div>
  );
}
