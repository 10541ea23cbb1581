"""Where bytes leave the program: standard output, with every way it can fail named."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, ClassVar

from workbench.errors import QueryFailed, WorkbenchError


class ClosedPipe(WorkbenchError):
    """Whoever read our output has gone (``| head -1``): nothing to say, exit 141."""

    exit_code: ClassVar[int] = 141
    code: ClassVar[str] = "closed-pipe"

    def __init__(self) -> None:
        super().__init__("")


class Sink(io.RawIOBase):
    """A stream of bytes whose failures to write are errors for the user, apart from failures to read data.

    Raises :class:`ClosedPipe` when the reader has gone, :class:`QueryFailed` on a full disk and the like.
    Closing it leaves the stream beneath open.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        super().__init__()
        self._stream = stream
        self._name = name
        self._written = 0
        self.failed = False

    def writable(self) -> bool:
        """Always: it is what a sink is for."""
        return True

    def tell(self) -> int:
        """How many bytes were written; Parquet asks."""
        return self._written

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Writes everything or raises."""
        with self._failures():
            self._stream.write(data)
        size = memoryview(data).nbytes
        self._written += size
        return size

    def flush(self) -> None:
        """Hands what is buffered to the system."""
        if not self.closed:
            with self._failures():
                self._stream.flush()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self.failed = True
            raise ClosedPipe from error
        except OSError as error:
            self.failed = True
            raise QueryFailed(f"cannot write {self._name}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """What the system says, without its number."""
    return (error.strerror or str(error) or type(error).__name__).lower()


@contextmanager
def standard_output() -> Iterator[Sink]:
    """Standard output as a sink, flushed at the end; raises as a sink does, also where there is none."""
    if sys.stdout is None or sys.stdout.closed:
        raise QueryFailed("cannot write standard output: it is closed", "give --output FILE")
    sink = Sink(_bytes_of_stdout(), "standard output")
    try:
        sink.flush()
        yield sink
        sink.flush()
    finally:
        if sink.failed:
            _silence_stdout()


def encoding_of_stdout() -> str:
    """The name of the encoding in which text on standard output is read, as Python spells it."""
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name


def stdout_is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()


def _bytes_of_stdout() -> BinaryIO:
    # What others wrote as text comes before what we write as bytes.
    with suppress(OSError):
        sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    return buffer if buffer is not None else _TextBytes()


class _TextBytes(io.BytesIO):
    """Bytes for a replaced standard output that takes text only, as ``redirect_stdout`` makes."""

    def write(self, data: object, /) -> int:
        if not isinstance(data, bytes):
            raise TypeError("standard output was replaced by one that takes text only")
        return sys.stdout.write(data.decode(encoding_of_stdout()))


def _silence_stdout() -> None:
    # What is still buffered would fail a second time when Python flushes at exit, with a traceback.
    with suppress(OSError, ValueError, AttributeError):
        target = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, target)
        os.close(null)
