"""Uploaded pictures: checked and re-encoded, so that only the pixels of a file are used."""

import asyncio
from io import BytesIO
from typing import Literal, NamedTuple

from PIL import Image, ImageOps

from catalog.model.problems import PictureInvalid

Kind = Literal["poster", "backdrop"]
FORMATS = ("JPEG", "PNG", "WEBP")
SIZES: dict[Kind, tuple[int, int]] = {"poster": (600, 900), "backdrop": (1600, 900)}
"""Output sizes in pixels. A picture is cropped to this shape and must be at least half as wide and high."""
MAX_BYTES, MAX_PIXELS = 8_000_000, 40_000_000
QUALITY = 82
AT_ONCE = 2
"""A picture of the maximum size needs about 200 MB while it is re-encoded."""


class Encoded(NamedTuple):
    """A picture as WebP."""

    data: bytes
    width: int
    height: int


class PictureReader:
    """Converts uploaded files, AT_ONCE of them at the same time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def read(self, data: bytes, kind: Kind) -> Encoded:
        """Convert an uploaded file into a poster or backdrop, off the event loop. Raises PictureInvalid."""
        if not 0 < len(data) <= MAX_BYTES:
            raise PictureInvalid(f"A picture has at most {MAX_BYTES // 1_000_000} MB, and is not empty.")
        async with self._turn:
            return await asyncio.to_thread(_encode, data, SIZES[kind])


def _encode(data: bytes, size: tuple[int, int]) -> Encoded:
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size, size)
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureInvalid(f"The file is not a complete {', '.join(FORMATS)} picture.") from error
    encoded = BytesIO()
    ImageOps.fit(upright, size, Image.Resampling.LANCZOS).save(encoded, "WEBP", quality=QUALITY, method=4)
    return Encoded(encoded.getvalue(), *size)


def _check_size(given: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Check the size in the header, before the picture is decoded."""
    width, height = given
    if width * height > MAX_PIXELS:
        raise PictureInvalid(f"{width} × {height} pixels are more than {MAX_PIXELS // 1_000_000} million.")
    if width * 2 < wanted[0] or height * 2 < wanted[1]:
        raise PictureInvalid(f"{width} × {height} pixels are too few: {wanted[0] // 2} × {wanted[1] // 2} at least.")
