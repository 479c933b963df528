"""Opening pictures from outside in processes of their own.

A decoder that crashes, hangs or eats memory costs one picture, not the server. What goes to and
fro is a line of JSON and plain bytes, so that a decoder that was taken over can hand back nothing
but a picture.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from core import pictures
from core.errors import InvalidInputError
from core.language import _
from core.pictures import NotAPictureError, Picture, PictureTooLargeError

_AT_ONCE = 2
_LONGEST_S = 20.0
"""The slowest file of a large collection took 0.2 s; nothing honest comes near this."""
_MOST_MEMORY = 1536 * 1024 * 1024
"""Bytes of address space, libraries included."""
_NEEDED = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ROOT = Path(__file__).parents[1]
_WORK = {"upload": pictures.accept_upload, "painting": pictures.accept_painting}
_ERRORS = {kind.__name__: kind for kind in (NotAPictureError, PictureTooLargeError)}


def accept_upload(data: bytes) -> Picture:
    """Do what ``pictures.accept_upload`` does, elsewhere.

    :raises InvalidInputError: as there, and if the file is too much for the decoder
    """
    return _pool.ask("upload", data)


def accept_painting(data: bytes) -> Picture:
    """Do what ``pictures.accept_painting`` does, elsewhere.

    :raises InvalidInputError: as there, and if the file is too much for the decoder
    """
    return _pool.ask("painting", data)


class _Decoder:
    """One process that opens one picture at a time, and ends with us."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _NEEDED if name in os.environ}
        path = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "core.decoding"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"PYTHONPATH": path},  # no settings, and so no secrets
        )

    def ask(self, kind: str, data: bytes) -> Picture:
        """Return the picture.

        :raises EOFError: if the process ended, or was ended for taking too long
        """
        timer = threading.Timer(_LONGEST_S, self.process.kill)
        timer.start()
        try:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            _send(self.process.stdin, {"kind": kind}, data)
            answer, parts = _receive(self.process.stdout)
        except (OSError, ValueError) as error:
            raise EOFError from error
        finally:
            timer.cancel()
        if "error" in answer:
            kind_of_error = _ERRORS.get(answer["error"], NotAPictureError)
            raise kind_of_error(answer["message"])
        return Picture(parts[0], answer["type"], answer["width"], answer["height"], parts[1])

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError, ValueError):
                stream.close()  # type: ignore[union-attr]


class _Pool:
    """Hands out decoders, and keeps those that did well for the next picture."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._idle: list[_Decoder] = []

    def ask(self, kind: str, data: bytes) -> Picture:
        with self._turns:
            decoder = self._take()
            try:
                picture = decoder.ask(kind, data)
            except EOFError as error:
                decoder.end()
                raise NotAPictureError(
                    _(
                        "This picture is too much for the program that opens pictures: it may be"
                        " damaged. Open it in another program, save it anew, then try again."
                    )
                ) from error
            except InvalidInputError:
                self._idle.append(decoder)
                raise
            except BaseException:
                decoder.end()
                raise
            self._idle.append(decoder)
            return picture

    def _take(self) -> _Decoder:
        with suppress(IndexError):
            while True:
                decoder = self._idle.pop()
                if decoder.process.poll() is None:
                    return decoder
                decoder.end()
        return _Decoder()


_pool = _Pool()


def _send(stream: IO[bytes], words: dict[str, Any], *parts: bytes) -> None:
    header = words | {"sizes": [len(part) for part in parts]}
    stream.write(json.dumps(header).encode() + b"\n")
    for part in parts:
        stream.write(part)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    line = stream.readline(65_536)
    if not line.endswith(b"\n"):
        raise EOFError
    words = json.loads(line)
    parts = [stream.read(size) for size in words["sizes"]]
    if [len(part) for part in parts] != words["sizes"]:
        raise EOFError
    return words, parts


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has none, macOS takes none
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def _limit_time() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime + _LONGEST_S) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def serve(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """Open what comes in until nothing comes any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    _limit_memory()
    while True:
        try:
            words, parts = _receive(stdin)
        except EOFError:
            return
        _limit_time()
        try:
            picture = _WORK[words["kind"]](parts[0])
        except InvalidInputError as error:
            _send(stdout, {"error": type(error).__name__, "message": str(error)})
        else:
            about = {"type": picture.media_type, "width": picture.width, "height": picture.height}
            _send(stdout, about, picture.data, picture.thumbnail)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
