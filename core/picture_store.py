"""Picture files, named after their content.

The same bytes always get the same name, so saving twice is harmless and a file never changes
once it exists. What ``save`` has returned from is on the disk, even if the power fails next.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_to_bytes

from core.errors import DashboardError, NotFoundError, SettingsError, StartError
from core.language import _


class StorageError(DashboardError):
    """The disk did not take or give back a picture."""


LEAST_FREE_BYTES = 50 * 1024**2
"""Below this no picture is paid for: it might not be kept."""

_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
}
_MEDIA_TYPES = {ending: media_type for media_type, ending in _ENDINGS.items()}

PICTURE_NAME = re.compile(r"\A[0-9a-f]{64}(?:-400\.webp|\.(?:png|jpg|webp|gif|avif))\Z")
"""The names of pictures and of thumbnails, and nothing else."""


def picture_name(digest: str, media_type: str) -> str:
    """Return the name of the picture whose bytes have this SHA-256."""
    return f"{digest}.{_ENDINGS[media_type]}"


def thumbnail_name(digest: str) -> str:
    """Return the name of the thumbnail of the picture whose bytes have this SHA-256."""
    return f"{digest}-400.webp"


def media_type_of(name: str) -> str:
    """Tell what kind of file a name stands for.

    :raises NotFoundError: if no picture can have this name
    """
    _check_name(name)
    return _MEDIA_TYPES[name.rpartition(".")[2]]


class FolderStore:
    """Keeps pictures in a folder, spread over sub-folders by the first two digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return where the file is, or would be.

        :raises NotFoundError: if no picture can have this name
        """
        _check_name(name)
        return self.folder / name[:2] / name

    def exists(self, name: str) -> bool:
        """Tell whether ``read`` would find the file."""
        return PICTURE_NAME.match(name) is not None and self.path(name).is_file()

    def find(self, name: str) -> Path:
        """Return where the file is.

        :raises NotFoundError: if there is no such file
        """
        path = self.path(name)
        if not path.is_file():
            raise _not_found(name)
        return path

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        :raises NotFoundError: if there is no such file
        """
        path = self.path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except OSError as error:
            raise StorageError(
                _(
                    "The file {name} can't be read: {reason}. Check the disk and the rights of the "
                    "folder {folder}."
                ).format(name=name, reason=error.strerror, folder=path.parent)
            ) from error

    def save(self, name: str, data: bytes, *, again: bool = False) -> None:
        """Keep ``data`` under ``name``, durably. What is there already only becomes new again.

        With ``again`` it takes the place of what is there, in one step; so does a picture that
        finds a damaged file under its name.

        :raises StorageError: if the disk is full or refuses; then there is no file of this name
        """
        path = self.path(name)
        try:
            path.parent.mkdir(exist_ok=True)
            if again or not _renew(path) or _is_damaged(path, data):
                _write_whole(path, data)
            # Even if the file was there: another process may have renamed it a moment ago and
            # not have come this far, and our caller is about to write a row that relies on it.
            sync_folder(path.parent)
            sync_folder(self.folder)
        except OSError as error:
            raise _not_saved(error, self.folder) from error

    def files(self) -> Iterator[Path]:
        """Yield every picture and thumbnail that is here."""
        for path in self.folder.glob("??/*"):
            if PICTURE_NAME.match(path.name):
                yield path

    def leftovers(self) -> Iterator[Path]:
        """Yield every file that a crash left half written, if it is not being written now."""
        for pattern in (".*.part", "*/.*.part"):
            yield from self.folder.glob(pattern)

    def answers(self) -> Iterator[Path]:
        """Yield the kept answers to paid calls, each named by its call."""
        yield from self.folder.glob("answers/call-*")

    def keep_answer(self, call_id: str, data: bytes) -> None:
        """Keep what a paid call brought, durably, before anything is done with it.

        :raises StorageError: if the disk is full or refuses
        """
        path = self._answer(call_id)
        try:
            path.parent.mkdir(exist_ok=True)
            _write_whole(path, data)
            sync_folder(path.parent)
            sync_folder(self.folder)
        except OSError as error:
            raise _not_saved(error, self.folder) from error

    def has_answer(self, call_id: str) -> bool:
        """Tell whether the answer to a call was kept, and its picture not yet made of it."""
        return self._answer(call_id).is_file()

    def read_answer(self, call_id: str) -> bytes:
        """Return the answer to a call.

        :raises StorageError: if it can't be read
        """
        try:
            return self._answer(call_id).read_bytes()
        except OSError as error:
            raise StorageError(
                _("A picture that was paid for can't be read: {reason}. Check the disk.").format(
                    reason=error.strerror
                )
            ) from error

    def drop_answer(self, call_id: str) -> None:
        """Forget the answer to a call, once its picture is kept."""
        with suppress(OSError):
            self._answer(call_id).unlink()

    def check_room(self) -> None:
        """Go on only if a picture that is paid for could be kept.

        :raises StorageError: if the disk is nearly full
        """
        if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES:
            raise StorageError(
                _(
                    "The disk is nearly full, so no picture was asked for. Make room where the"
                    " folder {folder} is, then try again."
                ).format(folder=self.folder)
            )

    def _answer(self, call_id: str) -> Path:
        return self.folder / "answers" / re.sub("[^a-z0-9-]", "", call_id)


def open_store(url: str) -> FolderStore:
    """Open the store that PICTURES_URL names, and make its folder if need be.

    :raises SettingsError: if the URL is not one that is taken
    :raises StartError: if the folder can't be written
    """
    folder = Path(folder_of(url, windows=os.name == "nt"))
    trial = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise StartError(
            _(
                "Pictures can't be kept in the folder {folder}: {reason}. Check its rights and the "
                "disk, or name another folder in PICTURES_URL."
            ).format(folder=folder, reason=error.strerror)
        ) from error
    return FolderStore(folder)


def folder_of(url: str, *, windows: bool) -> str:
    """Return the folder that a file:// URL names.

    :raises SettingsError: if it is another kind of URL, or without the full path
    """
    # Not urlsplit: it would cut a folder's name at "?" or "#" and so keep pictures elsewhere.
    scheme, found, rest = url.partition("://")
    drive = re.match(r"(?:localhost)?/?([A-Za-z]:/.*)", rest, re.DOTALL) if windows else None
    path = drive.group(1) if drive else rest.removeprefix("localhost")
    folder = os.fsdecode(unquote_to_bytes(path))
    is_absolute = drive is not None or folder.startswith("/")
    if scheme.lower() != "file" or not found or not is_absolute or "\0" in folder:
        raise SettingsError(  # the URL is not repeated: it may hold a password
            _(
                "PICTURES_URL can't be used. Pictures are kept in a folder, given as a file:// URL "
                "with its full path, for example file:///var/lib/capista/pictures or "
                "file:///C:/capista/pictures. Nothing else is taken."
            )
        )
    return folder


def _write_whole(path: Path, data: bytes) -> None:
    # In the same sub-folder, because only there a rename is surely one step. A leftover of a
    # crash never has a picture's name.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _rename(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _is_damaged(path: Path, data: bytes) -> bool:
    is_thumbnail = path.name == thumbnail_name(path.name[:64])
    return not is_thumbnail and path.read_bytes() != data


def _renew(path: Path) -> bool:
    """Make a file as young as one just written, so that nobody takes it for forgotten."""
    try:
        os.utime(path)
        return True
    except OSError:  # gone, or somebody else's: written anew in both cases
        return False


def _rename(part: Path, path: Path) -> None:
    try:
        part.replace(path)
    except PermissionError:
        # Windows refuses while somebody reads the file of that name: so it is there already.
        if not path.exists():
            raise
        part.unlink()


def sync_folder(folder: Path) -> None:
    """Make names in a folder as durable as the files; Windows has no such thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems can't; they order the two writes themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _check_name(name: str) -> None:
    if PICTURE_NAME.match(name) is None:
        raise _not_found(name)


def _not_found(name: str) -> NotFoundError:
    return NotFoundError(
        _(
            "The picture file {name} is not there. Bring it back from a backup, or choose "
            "another picture."
        ).format(name=name[:80])
    )


def _not_saved(error: OSError, folder: Path) -> StorageError:
    # Quotas are not known to every system's errno.
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return StorageError(
            _(
                "The disk is full, so the picture was not saved. Make room where the folder "
                "{folder} is, then try again."
            ).format(folder=folder)
        )
    return StorageError(
        _(
            "The picture was not saved in the folder {folder}: {reason}. Check the disk and the "
            "folder's rights, then try again."
        ).format(folder=folder, reason=error.strerror)
    )
