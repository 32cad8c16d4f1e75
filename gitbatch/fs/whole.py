"""Reads and writes small files whole, by as few calls of the system as there can be: each item reads and writes a dozen.

A stream asks for the kind of a file, its size and its position besides.
"""

import os

_CHUNK = 1 << 16
"""The bytes of the first read; each further one asks for twice as many."""


def read_whole(path: str) -> bytes:
    """Returns the content of a file.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts, size = [], _CHUNK
        while part := os.read(descriptor, size):
            parts.append(part)
            size *= 2
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(descriptor)


def write_new(path: str, content: bytes) -> None:
    """Writes a file that does not exist.

    Raises:
        OSError: it exists, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Writes a content to a descriptor; the system may take it in parts.

    Raises:
        OSError: it cannot be written.
    """
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
