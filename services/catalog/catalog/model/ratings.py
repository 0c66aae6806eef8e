"""A film's rating."""

from contracts.types import Shape

MAX_STARS = 5


class Rating(Shape):
    """The summary of a film's visible reviews. `stars[0]` counts one-star reviews; `average` is 0 for none."""

    count: int = 0
    total: int = 0
    stars: tuple[int, ...] = (0,) * MAX_STARS
    average: float = 0.0

    def after(self, before: int | None, now: int | None) -> "Rating":
        """The rating after one review's stars changed from `before` to `now`; None is a review that does not count."""
        stars = list(self.stars)
        for value, change in ((before, -1), (now, 1)):
            if value is not None:
                stars[value - 1] += change
        count, total = sum(stars), sum(value * many for value, many in enumerate(stars, 1))
        return Rating(count=count, total=total, stars=tuple(stars), average=round(total / count, 4) if count else 0.0)
