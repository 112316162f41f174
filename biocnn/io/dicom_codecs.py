"""Decoders of compressed DICOM pixels with imagecodecs, for compressions that pydicom and Pillow cannot decode.

pydicom calls ``is_available`` and ``_decode_frame`` by these names after ``register``.
"""

from typing import Any

from pydicom import uid
from pydicom.pixels import get_decoder

_JPEG = (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_LS, *_HTJ2K), ("imagecodecs",))


def register() -> None:
    """Register these decoders with pydicom; repeated calls are harmless."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if "biocnn" not in decoder.available_plugins:
            decoder.add_plugin("biocnn", (__name__, "_decode_frame"))


def is_available(syntax: str) -> bool:
    """Return whether a transfer syntax can be decoded."""
    return syntax in DECODER_DEPENDENCIES


def _decode_frame(source: bytes, runner: Any) -> bytes:
    """Decode one frame to bytes and set its bit depth on ``runner``."""
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
