import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, useLocation, useNavigate, useParams } from "react-router";
import { Narrow } from "../account/parts";
import { api, type Schemas, unwrap } from "../api/client";
import { followAsGuest, keyOf } from "../api/guest";
import { useSession } from "../api/useSession";
import { showtimeQuery } from "../films/queries";
import { t, tn } from "../i18n";
import { clock, longDay } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { names } from "../seats/labels";
import { announce } from "../ui/announce";
import { Button, ButtonLink } from "../ui/Button";
import { Countdown } from "../ui/Countdown";
import { Failure, Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { JoinForm } from "./JoinForm";
import { placeQuery } from "./queries";

type Showtime = Schemas["CatalogShowtimeResponse"];
type Place = Schemas["InventoryWaitlistResponse"];

/** A showtime's waitlist: the form to join it, the visitor's place, and the seats that are held for the party. */
export default function WaitlistPage() {
  const { showtimeId = "" } = useParams();
  const { hash } = useLocation();
  const navigate = useNavigate();
  const key = keyOf(hash);
  const session = useSession();
  useEffect(() => {
    if (!key) return;
    followAsGuest(key);
    void navigate(`/showtimes/${showtimeId}/waitlist`, { replace: true });
  }, [key, showtimeId, navigate]);
  const showtime = useQuery(showtimeQuery(showtimeId));
  const place = useQuery({ ...placeQuery(showtimeId), enabled: !key });
  usePageTitle(t("waitlist.title"));
  const failure = showtime.error ?? place.error;
  if (failure) {
    const retry = () => void Promise.all([showtime.refetch(), place.refetch()]);
    return (
      <Narrow title={t("waitlist.title")}>
        <Failure error={failure} retry={retry} />
      </Narrow>
    );
  }
  // A session that is restored later resets the visitor's queries, and the form with them.
  if (!showtime.data || place.data === undefined || session.state === "unknown") {
    return (
      <Narrow title={t("waitlist.title")}>
        <div aria-hidden="true" className="skeleton h-96" />
      </Narrow>
    );
  }
  return (
    <Narrow title={t("waitlist.title")}>
      <Head showtime={showtime.data} />
      {place.data ? (
        <OwnPlace showtime={showtime.data} place={place.data} />
      ) : (
        <JoinForm key={showtimeId} showtime={showtime.data} />
      )}
    </Narrow>
  );
}

function Head({ showtime }: { showtime: Showtime }) {
  const { id, movie_title, starts_at, time_zone, theater_name, auditorium_name } = showtime;
  return (
    <p className="-mt-2 mb-5">
      <Link to={`/showtimes/${id}`} className="link font-semibold">
        <bdi>{movie_title}</bdi>
      </Link>
      <span className="block">
        {longDay(starts_at, time_zone)}, {clock(starts_at, time_zone)}
      </span>
      <span className="block text-sm text-quiet">
        <bdi>{theater_name}</bdi>, <bdi>{auditorium_name}</bdi>
      </span>
    </p>
  );
}

function OwnPlace({ showtime, place }: { showtime: Showtime; place: Place }) {
  const queries = useQueryClient();
  const showtime_id = showtime.id;
  const reload = () => queries.invalidateQueries({ queryKey: placeQuery(showtime_id).queryKey });
  const leave = useMutation({
    mutationFn: () =>
      unwrap(api.DELETE("/api/showtimes/{showtime_id}/waitlist", { params: { path: { showtime_id } } })),
    onSuccess: async () => {
      announce(t("waitlist.left"));
      await reload();
    },
  });
  const { min, max } = place.party;
  return (
    <div className="grid gap-5">
      {place.offer ? (
        <Offer offer={place.offer} zone={showtime.time_zone} onEnd={() => void reload()} />
      ) : (
        <div className="card grid gap-1 p-5" role="status">
          <p className="text-lg font-semibold">{t("waitlist.position", { n: place.position })}</p>
          <p className="text-quiet">
            {min === max ? tn("waitlist.seats", max) : t("waitlist.range", { min, max })}
            {" · "}
            {t("waitlist.closes", { time: clock(place.closes_at, showtime.time_zone) })}
          </p>
          <p>{t("waitlist.mailed", { email: place.email })}</p>
          {place.missed_offers > 0 && <p className="text-quiet">{tn("waitlist.missed", place.missed_offers)}</p>}
        </div>
      )}
      {leave.error && <Failure error={leave.error} />}
      {!place.offer?.in_checkout && (
        <Button look="plain" className="justify-self-start" busy={leave.isPending} onClick={() => leave.mutate()}>
          {t(place.offer ? "waitlist.giveUp" : "waitlist.leave")}
        </Button>
      )}
    </div>
  );
}

interface OfferProps {
  offer: Schemas["InventoryOfferResponse"];
  zone: string;
  onEnd: () => void;
}

/** The seats that are held for the party, and the way to the checkout. */
function Offer({ offer, zone, onEnd }: OfferProps) {
  const seconds = useCountdown(offer.expires_at, onEnd);
  const time = `${longDay(offer.expires_at, zone)}, ${clock(offer.expires_at, zone)}`;
  return (
    <Notice kind="good">
      <h2 className="mb-1 text-lg">{t("waitlist.offer")}</h2>
      <p className="mb-1 text-xl font-bold">{names(offer.seats)}</p>
      <p className="mb-3 flex flex-wrap items-center gap-2">
        {t("waitlist.until", { time })}
        {seconds !== null && seconds < 3600 && <Countdown seconds={seconds} />}
      </p>
      <ButtonLink to={`/checkout/${offer.hold_id}`}>
        {t(offer.in_checkout ? "summary.goOn" : "waitlist.buy")}
      </ButtonLink>
    </Notice>
  );
}
