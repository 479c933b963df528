import errno
import hashlib
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import picture_store
from core.errors import DashboardError, NotFoundError, SettingsError, StartError
from core.picture_store import (
    PICTURE_NAME,
    FolderStore,
    StorageError,
    folder_of,
    media_type_of,
    open_store,
    picture_name,
    thumbnail_name,
)

ROOT = Path(__file__).parents[2]
DIGEST = "ab" * 32
NAME = f"{DIGEST}.png"

NOT_NAMES = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    f"../{NAME}",
    f"ab/{NAME}",
    f"{NAME}\n",
    f"{NAME}\0",
    f".{NAME}.0123456789abcdef.part",
    f"{DIGEST.upper()}.png",
    f"{DIGEST[1:]}.png",
    f"{DIGEST}.svg",
    f"{DIGEST}-400.png",
    f"{DIGEST}-800.webp",
    DIGEST,
]


@pytest.fixture
def store(tmp_path) -> FolderStore:
    return open_store((tmp_path / "pictures").as_uri())


def files_in(store: FolderStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


class TestNames:
    @pytest.mark.parametrize(
        ("media_type", "ending"),
        [
            ("image/png", "png"),
            ("image/jpeg", "jpg"),
            ("image/webp", "webp"),
            ("image/gif", "gif"),
            ("image/avif", "avif"),
        ],
    )
    def test_tell_the_content_and_the_kind(self, media_type, ending):
        name = picture_name(DIGEST, media_type)

        assert name == f"{DIGEST}.{ending}"
        assert PICTURE_NAME.match(name)
        assert media_type_of(name) == media_type

    def test_of_a_thumbnail_differ_from_the_picture_s(self):
        assert thumbnail_name(DIGEST) == f"{DIGEST}-400.webp"
        assert PICTURE_NAME.match(thumbnail_name(DIGEST))
        assert media_type_of(thumbnail_name(DIGEST)) == "image/webp"

    @pytest.mark.parametrize("name", NOT_NAMES)
    def test_of_any_other_form_stand_for_nothing(self, name):
        assert not PICTURE_NAME.match(name)
        with pytest.raises(NotFoundError):
            media_type_of(name)


class TestSave:
    def test_keeps_the_bytes(self, store):
        store.save(NAME, b"bytes")

        assert store.exists(NAME)
        assert store.read(NAME) == b"bytes"

    def test_spreads_files_by_the_first_two_digits(self, store):
        store.save(NAME, b"bytes")

        assert files_in(store) == [store.folder / "ab" / NAME]
        assert store.path(NAME) == store.folder / "ab" / NAME

    def test_writes_nothing_the_second_time(self, store):
        store.save(NAME, b"bytes")
        before = store.path(NAME).stat()

        store.save(NAME, b"bytes")

        assert store.path(NAME).stat().st_ino == before.st_ino
        assert store.read(NAME) == b"bytes"
        assert files_in(store) == [store.path(NAME)]

    @pytest.mark.parametrize("damaged", [b"", b"byt", b"\0\0\0\0\0"])
    def test_mends_what_is_damaged(self, store, damaged):
        store.save(NAME, b"bytes")
        store.path(NAME).write_bytes(damaged)

        store.save(NAME, b"bytes")

        assert store.read(NAME) == b"bytes"
        assert files_in(store) == [store.path(NAME)]

    def test_makes_what_is_there_as_young_as_new(self, store):
        store.save(NAME, b"bytes")
        os.utime(store.path(NAME), (0, 0))

        store.save(NAME, b"bytes")

        assert store.path(NAME).stat().st_mtime > time.time() - 60

    def test_writes_anew_what_is_somebody_else_s(self, store, monkeypatch):
        store.save(NAME, b"bytes")
        before = store.path(NAME).stat()

        def refuse(*_arguments: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(picture_store.os, "utime", refuse)  # rights do not bind root
        store.save(NAME, b"bytes")

        assert store.path(NAME).stat().st_ino != before.st_ino
        assert store.read(NAME) == b"bytes"

    def test_leaves_one_file_when_many_save_the_same(self, store):
        data = bytes(300_000)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.save(NAME, data), range(32)))

        assert store.read(NAME) == data
        assert files_in(store) == [store.path(NAME)]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
    def test_lets_others_read_as_the_umask_says(self, store):
        old = os.umask(0o022)
        try:
            store.save(NAME, b"bytes")
        finally:
            os.umask(old)

        assert store.path(NAME).stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize("name", NOT_NAMES)
    def test_refuses_other_names_and_writes_nothing(self, store, name):
        with pytest.raises(NotFoundError):
            store.save(name, b"bytes")

        assert files_in(store) == []

    @pytest.mark.parametrize("code", [errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)])
    def test_says_that_the_disk_is_full_and_leaves_nothing(self, store, monkeypatch, code):
        def full(_handle: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(picture_store.os, "fsync", full)

        with pytest.raises(StorageError, match="disk is full") as caught:
            store.save(NAME, b"bytes")

        assert isinstance(caught.value, DashboardError)
        assert isinstance(caught.value.__cause__, OSError)
        assert files_in(store) == []
        assert not store.exists(NAME)

    def test_works_again_when_there_is_room_again(self, store, monkeypatch):
        def full(_handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(picture_store.os, "fsync", full)
            with pytest.raises(StorageError):
                store.save(NAME, b"bytes")

        store.save(NAME, b"bytes")

        assert store.read(NAME) == b"bytes"

    def test_does_not_make_the_folder_anew_when_it_has_gone(self, store):
        store.folder.rmdir()  # an unmounted disk: pictures must not land below it

        with pytest.raises(StorageError, match="not saved"):
            store.save(NAME, b"bytes")

        assert not store.folder.exists()


class TestRead:
    def test_says_that_a_file_is_not_there(self, store):
        with pytest.raises(NotFoundError, match="not there"):
            store.read(NAME)

        assert not store.exists(NAME)

    @pytest.mark.parametrize("name", NOT_NAMES)
    def test_never_leaves_the_folder(self, store, name):
        (store.folder.parent / NAME).write_bytes(b"outside")

        with pytest.raises(NotFoundError):
            store.read(name)
        with pytest.raises(NotFoundError):
            store.path(name)
        assert not store.exists(name)

    def test_says_what_the_disk_says(self, store):
        store.path(NAME).mkdir(parents=True)  # nothing that can be read as a file

        with pytest.raises(StorageError, match="can't be read"):
            store.read(NAME)


class TestOpenStore:
    def test_makes_the_folder_and_its_parents(self, tmp_path):
        folder = tmp_path / "deep" / "down" / "pictures"

        store = open_store(folder.as_uri())

        assert store.folder == folder
        assert folder.is_dir()
        assert files_in(store) == []

    @pytest.mark.parametrize("name", ["with space", "maçã", "100%", "a#b", "what?"])
    def test_decodes_the_name(self, tmp_path, name):
        folder = tmp_path / name

        assert open_store(folder.as_uri()).folder == folder

    @pytest.mark.parametrize(
        "url",
        [
            "s3://bucket/prefix",
            "https://example.com/pictures",
            "file://data/pictures",
            "file:data/pictures",
            "file://server/share",
            "data/pictures",
            "/data/pictures",
            "file:///data%00/pictures",
            "file://",
            "://",
            "",
        ],
    )
    def test_refuses_other_urls_and_names_the_setting(self, url):
        with pytest.raises(SettingsError, match=r"PICTURES_URL.*file://"):
            open_store(url)

    def test_does_not_repeat_a_password(self):
        with pytest.raises(SettingsError) as caught:
            open_store("s3://key:hunter2@bucket/prefix")

        assert "hunter2" not in str(caught.value)

    def test_refuses_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")

        with pytest.raises(StartError, match="PICTURES_URL"):
            open_store((tmp_path / "file" / "pictures").as_uri())

    def test_refuses_a_folder_that_cannot_be_written(self, tmp_path, monkeypatch):
        def refuse(*_args: object, **_kwargs: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "touch", refuse)  # rights do not bind root, who may run this

        with pytest.raises(StartError, match="Permission denied"):
            open_store(tmp_path.as_uri())


class TestFolderOf:
    @pytest.mark.parametrize(
        "url",
        [
            "file:///C:/my%20pictures",
            "file://C:/my%20pictures",
            "file://localhost/C:/my%20pictures",
        ],
    )
    def test_takes_a_drive_on_windows(self, url):
        assert folder_of(url, windows=True) == "C:/my pictures"

    @pytest.mark.parametrize("url", ["file:///srv/pictures", "FILE://localhost/srv/pictures"])
    def test_takes_a_path_elsewhere(self, url):
        assert folder_of(url, windows=False) == "/srv/pictures"

    def test_knows_no_drives_elsewhere(self):
        assert folder_of("file:///C:/pictures", windows=False) == "/C:/pictures"


SAVE_UNTIL_KILLED = """
import hashlib, itertools, sys
from pathlib import Path
from core.picture_store import FolderStore, picture_name

store = FolderStore(Path(sys.argv[1]))
for number in itertools.count():
    data = b"%s %d " % (sys.argv[2].encode(), number) * 100_000
    name = picture_name(hashlib.sha256(data).hexdigest(), "image/png")
    store.save(name, data)
    print(name, flush=True)
"""

SAVE_AND_DIE = """
import os, sys
from pathlib import Path
from core import picture_store

left = int(sys.argv[2])

def dying(call):
    def wrapper(*args, **kwargs):
        global left
        for before in (True, False):
            left -= 1
            if left < 0:
                os._exit(9)
            if before:
                result = call(*args, **kwargs)
        return result
    return wrapper

os.fsync = dying(os.fsync)
Path.mkdir = dying(Path.mkdir)
Path.replace = dying(Path.replace)
picture_store.FolderStore(Path(sys.argv[1])).save(sys.argv[3], b"whole" * 100_000)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestAKilledProcess:
    def test_leaves_no_half_file_at_any_moment(self, store):
        saved: list[str] = []
        for turn in range(15):
            with start(SAVE_UNTIL_KILLED, store.folder, turn) as child:
                assert child.stdout
                saved.append(child.stdout.readline().strip())
                time.sleep(random.uniform(0, 0.05))
                child.kill()
                saved += child.stdout.read().split()

        found = {path.name for path in files_in(store) if PICTURE_NAME.match(path.name)}
        assert len(saved) >= 15
        assert found >= {name for name in saved if PICTURE_NAME.match(name)}
        for name in found:
            assert hashlib.sha256(store.read(name)).hexdigest() == name[:64]

    def test_leaves_all_or_nothing_at_every_step(self, tmp_path):
        seen = []
        for step in range(30):
            store = open_store((tmp_path / str(step)).as_uri())
            with start(SAVE_AND_DIE, store.folder, step, NAME) as child:
                code = child.wait(10)

            assert not store.exists(NAME) or store.read(NAME) == b"whole" * 100_000
            seen.append(store.exists(NAME))
            store.save(NAME, b"whole" * 100_000)  # the next try succeeds, whatever was left
            assert store.read(NAME) == b"whole" * 100_000
            if code == 0:
                break

        assert code == 0
        assert len(seen) > 8
        assert seen == sorted(seen)  # once it is there, it stays
