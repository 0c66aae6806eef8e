"""QR codes as PNG pictures: black on white, with the quiet zone of four modules that ISO/IEC 18004 asks for.

The code itself comes from ZXing's C++; pure Python takes twenty times as long, half of what a whole booking costs.
"""

import struct
import zlib
from math import isqrt
from typing import Any

import zxingcpp

SCALE = 8
"""Pixels to a module, more than are shown, so that modules stay even on every screen. With 8 of them, a module is one
byte of a picture of one bit a pixel.
"""
MASK = 2
"""The data mask (ISO/IEC 18004, 7.8). To make all eight and compare them takes eight times as long, and of a ticket's
signed text this is the one that the standard's own score mostly prefers; cameras read each of them equally well.
"""


def png(text: str) -> bytes:
    """The text's code at error correction level M."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M", data_mask=MASK)
    picture: Any = zxingcpp.write_barcode_to_image(code, scale=1, add_quiet_zones=True)  # its stub omits the buffer
    modules = bytes(picture)
    size = isqrt(len(modules))
    # PNG's filters (W3C PNG, 9): 0 gives a line as it is, 2 as the difference to the line above, here none.
    same_again = (b"\x02" + bytes(size)) * (SCALE - 1)
    lines = b"".join(b"\x00" + modules[at : at + size] + same_again for at in range(0, len(modules), size))
    header = struct.pack(">IIBBBBB", size * SCALE, size * SCALE, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
