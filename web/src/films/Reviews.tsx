import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { api, type Schemas, unwrap } from "../api/client";
import { sentence } from "../api/problem";
import { useSession } from "../api/useSession";
import { t, tn } from "../i18n";
import { date } from "../lib/format";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Failure, Notice } from "../ui/Notice";
import type { Movie } from "./queries";

type Review = Schemas["CatalogPublicReviewResponse"];
type OwnReview = Schemas["CatalogOwnReviewResponse"];

/** The reviews of a film. People who have seen it can write one. */
export function Reviews({ film }: { film: Movie }) {
  const isSignedIn = useSession().state === "signed-in";
  const path = { movie_id: film.id };
  const reviews = useInfiniteQuery({
    queryKey: ["movie", film.id, "reviews"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/movies/{movie_id}/reviews", { params: { path, query: { cursor, limit: 10 } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const mine = useQuery({
    queryKey: ["mine", "review", film.id],
    queryFn: () => unwrap(api.GET("/api/movies/{movie_id}/reviews/mine", { params: { path } })),
    enabled: isSignedIn,
  });
  const items = reviews.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section aria-labelledby="reviews" className="border-t border-line py-8">
      <h2 id="reviews" className="mb-4">
        {t("reviews.title")}
      </h2>
      {mine.data?.may_review && <ReviewForm key={mine.data.review?.id ?? ""} film={film} review={mine.data.review} />}
      {reviews.isError && <Failure error={reviews.error} retry={() => void reviews.refetch()} />}
      {reviews.isSuccess && items.length === 0 && <p className="text-quiet">{t("reviews.none")}</p>}
      <ul className="grid gap-4 md:grid-cols-2">
        {items.map((review) => (
          <ReviewCard key={review.id} review={review} />
        ))}
      </ul>
      {reviews.hasNextPage && (
        <Button
          look="plain"
          className="mt-5"
          busy={reviews.isFetchingNextPage}
          onClick={() => void reviews.fetchNextPage()}
        >
          {t("more")}
        </Button>
      )}
    </section>
  );
}

function ReviewCard({ review }: { review: Review }) {
  return (
    <li className="card p-5">
      <p className="flex items-center gap-2">
        <Stars stars={review.stars} />
        {review.headline && (
          <b>
            <bdi>{review.headline}</bdi>
          </b>
        )}
      </p>
      {review.text && (
        <p dir="auto" className="mt-2 leading-relaxed whitespace-pre-line">
          {review.text}
        </p>
      )}
      <p className="mt-2 text-sm text-quiet">
        <bdi>{review.byline}</bdi>, {date(review.written_at)}
      </p>
    </li>
  );
}

function Stars({ stars }: { stars: number }) {
  return (
    <span role="img" aria-label={tn("reviews.stars", stars)} className="inline-flex text-accent-ink">
      {[1, 2, 3, 4, 5].map((star) => (
        <Icon key={star} name="star" filled={star <= stars} className="size-4" />
      ))}
    </span>
  );
}

function ReviewForm({ film, review }: { film: Movie; review: OwnReview | null }) {
  const [stars, setStars] = useState(review?.stars ?? 0);
  const id = useId();
  const queries = useQueryClient();
  const done = () =>
    Promise.all([
      queries.invalidateQueries({ queryKey: ["movie", film.id] }),
      queries.invalidateQueries({ queryKey: ["mine", "review", film.id] }),
    ]);
  const save = useMutation({
    mutationFn: (body: Schemas["CatalogReviewText"]) =>
      review
        ? unwrap(api.PUT("/api/reviews/{review_id}", { params: { path: { review_id: review.id } }, body }))
        : unwrap(api.POST("/api/movies/{movie_id}/reviews", { params: { path: { movie_id: film.id } }, body })),
    onSuccess: done,
  });
  const remove = useMutation({
    mutationFn: (review_id: string) =>
      unwrap(api.DELETE("/api/reviews/{review_id}", { params: { path: { review_id } } })),
    onSuccess: done,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    save.mutate({ stars, headline: String(given.get("headline")) || null, text: String(given.get("text")) });
  };
  const fault = save.error ?? remove.error;
  return (
    <form className="card mb-6 grid max-w-2xl gap-4 p-5" onSubmit={submit}>
      <fieldset>
        <legend className="mb-1 font-semibold">{t(review ? "reviews.yours" : "reviews.write")}</legend>
        <div className="flex">
          {[1, 2, 3, 4, 5].map((star) => (
            <label
              key={star}
              className="grid size-11 cursor-pointer place-items-center rounded-lg text-accent-ink has-focus-visible:outline-3"
            >
              <input
                type="radio"
                name="stars"
                className="sr-only"
                required
                checked={stars === star}
                onChange={() => setStars(star)}
              />
              <span className="sr-only">{tn("reviews.stars", star)}</span>
              <Icon name="star" filled={star <= stars} className="size-7" />
            </label>
          ))}
        </div>
      </fieldset>
      <Field label={t("reviews.headline")} name="headline" maxLength={200} defaultValue={review?.headline ?? ""} />
      <div>
        <label htmlFor={id} className="mb-1 block font-semibold">
          {t("reviews.text")}
        </label>
        <textarea id={id} name="text" rows={4} maxLength={5000} className="field" defaultValue={review?.text ?? ""} />
      </div>
      {review?.hidden && <Notice kind="warn">{t("reviews.hidden")}</Notice>}
      {fault && <Notice kind="bad">{sentence(fault)}</Notice>}
      {save.isSuccess && <Notice kind="good">{t("reviews.saved")}</Notice>}
      <div className="flex flex-wrap gap-3">
        <Button type="submit" busy={save.isPending}>
          {t("reviews.save")}
        </Button>
        {review && (
          <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate(review.id)}>
            {t("reviews.remove")}
          </Button>
        )}
      </div>
    </form>
  );
}
