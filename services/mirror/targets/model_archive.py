"""A version's files as one `model.tar.gz` with the same bytes each time, made while it is read.

The files are not compressed: they are in stored blocks of the gzip format. So the size is known before, and
the bytes depend on no release of a compression library.
"""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import AsyncIterator, Sequence

from services.mirror.targets.base import File, Files

NAME = "model.tar.gz"
_BLOCK = 65_535
"""Bytes of a stored block at most (RFC 1951, 3.2.4)."""
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The head of a gzip file (RFC 1952) without name and time, of no operating system."""
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"
_TAIL = 8
_RECORD = tarfile.BLOCKSIZE
_END = b"\0" * (2 * _RECORD)


def is_archive(files: Sequence[File]) -> bool:
    """Return whether the version is such an archive already: it is then copied as it is."""
    return len(files) == 1 and files[0].path == NAME


def size_of(files: Sequence[File]) -> int:
    """Return the bytes of the archive."""
    if is_archive(files):
        return files[0].size
    tar = len(_END) + sum(len(_header(file)) + file.size + _padding(file.size) for file in files)
    blocks = -(-tar // _BLOCK)
    return len(_HEAD) + tar + 5 * blocks + len(_LAST_BLOCK) + _TAIL


async def archive(files: Sequence[File], source: Files) -> AsyncIterator[bytes]:
    """Yield the archive. It ends only when every file had the bytes that were verified."""
    if is_archive(files):
        async for piece in source.read(NAME):
            yield piece
        return
    crc = count = 0
    rest = bytearray()
    yield _HEAD
    async for piece in _tar(files, source):
        crc, count = zlib.crc32(piece, crc), count + len(piece)
        rest += piece
        whole = len(rest) - len(rest) % _BLOCK
        for begin in range(0, whole, _BLOCK):
            yield _block(bytes(rest[begin : begin + _BLOCK]))
        del rest[:whole]
    if rest:
        yield _block(bytes(rest))
    yield _LAST_BLOCK + struct.pack("<II", crc, count & 0xFFFFFFFF)


async def _tar(files: Sequence[File], source: Files) -> AsyncIterator[bytes]:
    """Yield a tar of the files by path, without owners and times."""
    for file in sorted(files, key=lambda file: file.path):
        yield _header(file)
        async for piece in source.read(file.path):
            yield piece
        yield b"\0" * _padding(file.size)
    yield _END


def _header(file: File) -> bytes:
    info = tarfile.TarInfo(file.path)
    info.size = file.size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _padding(size: int) -> int:
    return -size % _RECORD


def _block(content: bytes) -> bytes:
    return struct.pack("<BHH", 0, len(content), len(content) ^ 0xFFFF) + content
