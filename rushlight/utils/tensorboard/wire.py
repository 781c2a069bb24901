"""Messages in the wire format of protocol buffers, which TensorBoard's files consist of.

A message is the sequence of its fields. A field is a key (number and kind) and its value.
Source: https://protobuf.dev/programming-guides/encoding
"""

import struct

__all__ = ["Message", "double", "doubles", "flt", "floats", "integer", "message", "sized", "varint"]

_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5


class Message(bytes):
    """An encoded message."""

    def SerializeToString(self):
        """Return the bytes, as the messages of the package protobuf do.

        >>> Message(b"a").SerializeToString()
        b'a'
        """
        return bytes(self)


def message(*fields):
    """Return the message of these fields; fields that are None are left out.

    >>> message(integer(1, 150), None, sized(2, "a"))
    b'\\x08\\x96\\x01\\x12\\x01a'
    """
    return Message(b"".join([f for f in fields if f is not None]))


def varint(n):
    """Seven bits in each byte, the lowest first; a negative number as 64 bits."""
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def integer(number, value):
    """Return the field of an int, a bool or an enumerated value; None for the default 0."""
    return varint(number << 3 | _VARINT) + varint(int(value)) if value else None


def double(number, value):
    """Return the field of a float64."""
    return varint(number << 3 | _EIGHT_BYTES) + struct.pack("<d", value)


def flt(number, value):
    """Return the field of a float32; numbers beyond its range become infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return varint(number << 3 | _FOUR_BYTES) + packed


def sized(number, value):
    """Return the field of a text, of bytes, or of a message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | _SIZED) + varint(len(data)) + data


def doubles(number, values):
    """Return the field of several float64."""
    return sized(number, struct.pack(f"<{len(values)}d", *values)) if len(values) else None


def floats(number, values):
    """Return the field of several float32."""
    return sized(number, struct.pack(f"<{len(values)}f", *values)) if len(values) else None
