"""Pictures of films: uploaded ones are re-encoded, others are drawn from the film's data."""

from catalog.pictures.posters import backdrop, poster
from catalog.pictures.uploads import FORMATS, Kind, PictureReader

__all__ = ["FORMATS", "Kind", "PictureReader", "backdrop", "poster"]
