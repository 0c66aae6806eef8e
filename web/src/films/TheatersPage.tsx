import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { named, t, tn } from "../i18n";
import { distance } from "../lib/format";
import { Button } from "../ui/Button";
import { Dots } from "../ui/Dots";
import { Icon } from "../ui/Icon";
import { Empty, Failure, Notice } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { type Theater, theatersQuery } from "./queries";
import { kilometres, matches, type Position } from "./theaters";
import { useWishes } from "./wishes";

/** All theaters, found by name, city or street, the nearest first if the visitor shares the place. */
export default function TheatersPage() {
  const theaters = useQuery(theatersQuery);
  const { params, change } = useWishes();
  const q = params.get("q") ?? "";
  const [here, setHere] = useState<Position | "asked" | "refused">();
  usePageTitle(t("nav.theaters"));
  const locate = () => {
    setHere("asked");
    navigator.geolocation.getCurrentPosition(
      ({ coords: { latitude, longitude } }) => setHere({ latitude, longitude }),
      () => setHere("refused"),
      { maximumAge: 600_000, timeout: 15_000 },
    );
  };
  const place = typeof here === "object" ? here : undefined;
  const found = theaters.data?.filter((theater) => matches(theater, q));
  if (place) found?.sort((one, other) => kilometres(one.position, place) - kilometres(other.position, place));
  return (
    <div className="page py-6 sm:py-10">
      <h1 className="mb-4">{t("nav.theaters")}</h1>
      <form role="search" className="mb-6 flex flex-wrap gap-3" onSubmit={(event) => event.preventDefault()}>
        <label className="relative min-w-0 flex-[1_1_14rem]">
          <span className="sr-only">{t("theaters.search")}</span>
          <Icon
            name="search"
            className="pointer-events-none absolute top-1/2 left-3 size-5 -translate-y-1/2 text-quiet"
          />
          <input
            type="search"
            className="field rounded-full pl-10"
            placeholder={t("theaters.search")}
            value={q}
            maxLength={100}
            onChange={(event) => change({ q: event.target.value })}
          />
        </label>
        {"geolocation" in navigator && (
          <Button look="plain" busy={here === "asked"} aria-pressed={Boolean(place)} onClick={locate}>
            <Icon name="place" />
            {t("theaters.near")}
          </Button>
        )}
      </form>
      {here === "refused" && (
        <div className="mb-6">
          <Notice kind="warn">{t("theaters.noPlace")}</Notice>
        </div>
      )}
      <p role="status" className="sr-only">
        {found && tn("theaters.count", found.length)}
      </p>
      {theaters.isPending && <div aria-hidden="true" className="skeleton h-dvh" />}
      {theaters.isError && <Failure error={theaters.error} retry={() => void theaters.refetch()} />}
      {found?.length === 0 && <Empty title={t(q ? "theaters.noMatch" : "theaters.none")} />}
      <ul className="grid gap-4 md:grid-cols-2 lg:grid-cols-3">
        {found?.map((theater) => (
          <li key={theater.id}>
            <Part>
              <TheaterCard theater={theater} away={place && kilometres(theater.position, place)} />
            </Part>
          </li>
        ))}
      </ul>
    </div>
  );
}

function TheaterCard({ theater, away }: { theater: Theater; away: number | undefined }) {
  const { street, postal_code, city } = theater.address;
  return (
    <Link to={`/theaters/${theater.id}`} className="card block h-full p-5 transition-colors hover:border-accent-ink">
      <h2 className="text-lg">
        <bdi>{theater.name}</bdi>
      </h2>
      <p className="text-quiet">
        <bdi>{street}</bdi>, <bdi>{postal_code}</bdi> <bdi>{city}</bdi>
      </p>
      {away !== undefined && <p className="mt-1 font-semibold">{distance(away)}</p>}
      <p className="mt-2 text-sm">{tn("theater.auditoriums", theater.auditoriums.length)}</p>
      <p className="text-sm text-quiet">
        <Dots facts={theater.features.map((code) => named("feature", code))} />
      </p>
    </Link>
  );
}
