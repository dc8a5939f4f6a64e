"""Values as bytes that every language can read. functions/vectors/values.json holds examples.

============  =====================================================
first byte    what follows
============  =====================================================
``0x01``      MessagePack
``0x02``      zlib (RFC 1950) of an encoded value that is not zlib itself
any other     is the first of the JSON text, UTF-8
============  =====================================================
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Literal, TypeAlias

from .errors import ValueInvalid, ValueTooLarge

Format: TypeAlias = Literal["json", "msgpack"]

_MSGPACK, _ZLIB = b"\x01", b"\x02"
# What a compressed value may grow to.
MAX_DECODED = 64 * 1024 * 1024


def dump_json(value: object) -> str:
    """JSON without spaces, not escaped beyond need, keys in their order. NaN and infinities are no JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise ValueInvalid("the value is not JSON") from None
    return text


def encode(value: object, format: Format = "json", *, compress_above: int = 0, max_bytes: int = 0) -> bytes:
    """The bytes of a value. ``compress_above``: compress what is longer, if that makes it shorter; 0: never.

    ``ValueInvalid`` for what the format does not know, ``ValueTooLarge`` above ``max_bytes`` (0: no limit).
    """
    data = _MSGPACK + _packed(value) if format == "msgpack" else dump_json(value).encode()
    if compress_above and len(data) > compress_above:
        compressed = _ZLIB + zlib.compress(data)
        data = min(data, compressed, key=len)
    if max_bytes and len(data) > max_bytes:
        raise ValueTooLarge(f"the value has {len(data)} bytes, {max_bytes} are allowed")
    return data


def decode(data: bytes) -> Any:
    """The value of bytes of any of the forms; ``ValueInvalid`` for any others."""
    if data[:1] == _ZLIB:
        data = _inflated(data[1:])
        if data[:1] == _ZLIB:
            raise ValueInvalid("the value is compressed twice")
    if data[:1] == _MSGPACK:
        return _unpacked(data[1:])
    try:
        return json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueInvalid("the stored bytes are no value") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, MAX_DECODED)
    except zlib.error:
        raise ValueInvalid("the stored bytes are no value") from None
    if not inflater.eof or inflater.unused_data:
        raise ValueInvalid("the stored bytes are cut off, or too many")
    return inflated


def _packed(value: object) -> bytes:
    try:
        packed = _msgpack().packb(value, use_bin_type=True, strict_types=True)
    except (TypeError, ValueError, OverflowError):
        raise ValueInvalid("the value is not MessagePack") from None
    return bytes(packed)


def _unpacked(data: bytes) -> Any:
    msgpack = _msgpack()
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False)
    except (ValueError, msgpack.exceptions.UnpackException):
        raise ValueInvalid("the stored bytes are no value") from None


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError:
        raise ValueInvalid("MessagePack needs the package: pip install cachebus[msgpack]") from None
    return msgpack
