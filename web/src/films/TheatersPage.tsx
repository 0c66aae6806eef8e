import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { named, t, tn } from "../i18n";
import { Empty, Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { theatersQuery } from "./queries";

export default function TheatersPage() {
  const theaters = useQuery(theatersQuery);
  usePageTitle(t("nav.theaters"));
  return (
    <div className="page py-6 sm:py-10">
      <h1 className="mb-6">{t("nav.theaters")}</h1>
      {theaters.isPending && <div aria-hidden="true" className="skeleton h-48" />}
      {theaters.isError && <Failure error={theaters.error} retry={() => void theaters.refetch()} />}
      {theaters.data?.length === 0 && <Empty title={t("theaters.none")} />}
      <ul className="grid gap-4 md:grid-cols-2 lg:grid-cols-3">
        {theaters.data?.map((theater) => (
          <li key={theater.id}>
            <Part>
              <Link
                to={`/theaters/${theater.id}`}
                className="card block h-full p-5 transition-colors hover:border-accent-ink"
              >
                <h2 className="text-lg">{theater.name}</h2>
                <p className="text-quiet">
                  {theater.address.street}, {theater.address.postal_code} {theater.address.city}
                </p>
                <p className="mt-2 text-sm">{tn("theater.auditoriums", theater.auditoriums.length)}</p>
                <p className="text-sm text-quiet">
                  {theater.features.map((code) => named("feature", code)).join(" · ")}
                </p>
              </Link>
            </Part>
          </li>
        ))}
      </ul>
    </div>
  );
}
