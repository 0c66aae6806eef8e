"""QR codes as PNG images: black on white, with the quiet zone of four modules that ISO/IEC 18004 requires.

ZXing's C++ library makes the code: pure Python takes twenty times as long, half the CPU of a whole booking.
"""

import struct
import zlib
from math import isqrt
from typing import Any

import zxingcpp

SCALE = 8
"""Pixels per module. More than a screen shows, so that modules stay even when scaled. With 8, one module is one byte of
an image with one bit per pixel.
"""
MASK = 2
"""The data mask (ISO/IEC 18004, 7.8). Comparing all eight takes eight times as long. The standard's score prefers this
one for most tickets, and cameras read all of them equally well.
"""


def png(text: str) -> bytes:
    """Return the text's QR code at error correction level M."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M", data_mask=MASK)
    image: Any = zxingcpp.write_barcode_to_image(code, scale=1, add_quiet_zones=True)  # its stub omits the buffer
    modules = bytes(image)
    size = isqrt(len(modules))
    # PNG's filters (W3C PNG, 9): 0 stores a line as it is, 2 its difference from the line above, which is zero here.
    repeated = (b"\x02" + bytes(size)) * (SCALE - 1)
    lines = b"".join(b"\x00" + modules[at : at + size] + repeated for at in range(0, len(modules), size))
    header = struct.pack(">IIBBBBB", size * SCALE, size * SCALE, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
