"""Text files as people save them: gzipped or plain, with or without a byte order mark, JSON by line or as an array."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from tamis.errors import DataError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; the longer ones first, since one of them begins like a shorter one."""
MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
GZIP = b"\x1f\x8b"
SPACE = " \t\r\n"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not empty.

    Reads UTF-8, and UTF-16 or UTF-32 as byte order marks tell it, plain or gzipped. Raises `DataError` with the line
    that is not such text.
    """
    return ((number, line) for number, line in _every_line(path) if line.strip())


def values(path: Path) -> Iterator[tuple[int, Any]]:
    """JSON values, each with the line it begins in: one per line, members of one array, or one over several lines."""
    numbered = lines(path)
    first = next(numbered, None)
    if first is None:
        return
    if first[1].lstrip().startswith("["):
        yield from _members(path, text(path))
        return
    for number, line in chain([first], numbered):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            if number == first[0] and (whole := _whole(path)) is not None:
                yield number, whole
                return
            raise _no_json(path, number, error.msg, line) from None
        yield number, value


def text(path: Path) -> str:
    """The whole file, with line feeds between its lines."""
    return "\n".join(line for _, line in _every_line(path))


def _whole(path: Path) -> Any:
    """The one value that the file is, over several lines; `None` where it is not one."""
    try:
        return json.loads(text(path))
    except json.JSONDecodeError:
        return None


def _every_line(path: Path) -> Iterator[tuple[int, str]]:
    if not path.is_file():
        raise DataError(f"no file at {str(path)!r}")
    number = 0
    try:
        with _opened(path) as file:
            encoding = _encoding(file)
            for number, line in enumerate(io.TextIOWrapper(file, encoding=encoding), 1):
                # Files that were joined have marks inside, too.
                yield number, line.rstrip("\r\n").lstrip(MARK)
    except UnicodeDecodeError as error:
        where, said = _undecodable(path, encoding) or (number + 1, error)
        name = encoding.removesuffix("-sig").upper()
        raise DataError(f"{path}:{where}: not readable as {name} text ({said}); save the file as UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        form = "gzipped text" if path.suffix == ".gz" else "text"
        raise DataError(f"{path}:{number + 1}: not readable as {form}: {error}") from None


def _opened(path: Path) -> BinaryIO:
    file = path.open("rb")
    if path.suffix != ".gz" and file.peek(2)[:2] != GZIP:
        return file
    file.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


def _encoding(file: Any) -> str:
    start = file.peek(4)[:4]
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    # Text files begin with a sign of ASCII, of which UTF-16 without a mark makes a byte beside a zero.
    if len(start) >= 2 and (start[0] == 0) != (start[1] == 0):
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    return "utf-8"


def _undecodable(path: Path, encoding: str) -> tuple[int, UnicodeDecodeError] | None:
    """The first line of bytes that is not text: readers decode ahead of the line they are at."""
    if not encoding.startswith("utf-8"):
        return None
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                return number, error
    return None


def _members(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """The members of one JSON array, each with its line."""
    decoder = json.JSONDecoder()
    at, line, counted = text.index("[") + 1, 1, 0
    first = True
    while True:
        at = _skipped(text, at)
        if first and text[at : at + 1] == "]":
            break
        first = False
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise _no_json(path, 1 + text.count("\n", 0, error.pos), error.msg, text[at:]) from None
        yield line, value
        at = _skipped(text, at)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise _no_json(path, 1 + text.count("\n", 0, at), "Expecting ',' or ']'", text[at:])
        at += 1
    if rest := text[at + 1 :].strip():
        line = 1 + text.count("\n", 0, _skipped(text, at + 1))
        raise _no_json(path, line, "more follows the end of the array", rest)


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def _no_json(path: Path, number: int, said: str, found: str) -> DataError:
    shown = found.lstrip().partition("\n")[0][:80]
    return DataError(f"{path}:{number}: not valid JSON ({said}): {shown!r}; write one object per line, or one array")
