"""Decoders of compressed DICOM pixels by imagecodecs, for what pydicom alone and Pillow cannot decode.

pydicom calls ``is_available`` and ``_decode_frame`` by these names once ``register`` has told it of this module.
"""

from typing import Any

from pydicom import uid
from pydicom.pixels import get_decoder

_JPEG = (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_LS, *_HTJ2K), ("imagecodecs",))


def register() -> None:
    """Tell pydicom of these decoders; once is enough, more does no harm."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if "biocnn" not in decoder.available_plugins:
            decoder.add_plugin("biocnn", (__name__, "_decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether a transfer syntax can be decoded."""
    return syntax in DECODER_DEPENDENCIES


def _decode_frame(source: bytes, runner: Any) -> bytes:
    """One frame as bytes, in the order and width that are set on ``runner``."""
    import imagecodecs

    if runner.samples_per_pixel > 1:
        raise NotImplementedError("colours in this compression")
    if runner.transfer_syntax in _JPEG_LS:
        pixels = imagecodecs.jpegls_decode(source)
    elif runner.transfer_syntax in _HTJ2K:
        pixels = imagecodecs.jpeg2k_decode(source)
    else:
        pixels = imagecodecs.jpeg_decode(source)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.tobytes()
