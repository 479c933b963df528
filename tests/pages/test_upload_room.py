"""The room for uploads before Streamlit's own store of uploaded files."""

from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from pages.components import upload_room
from pages.components.upload_room import UploadRoom


@pytest.fixture
def files(monkeypatch):
    files = MemoryUploadedFileManager("/_stcore/upload_file")
    instance = SimpleNamespace(uploaded_file_mgr=files)
    monkeypatch.setattr(upload_room, "get_instance", lambda: instance)
    monkeypatch.setattr(upload_room, "_MOST_BYTES", 100)
    return files


@pytest.fixture
def put(files):
    """Uploads as a page does; returns the answer."""

    async def take(request):
        page, name = request.path_params["page"], request.path_params["name"]
        data = await request.body()
        files.add_file(page, UploadedFileRec(name, "a.png", "image/png", data))
        return PlainTextResponse("", 204)

    route = Route("/_stcore/upload_file/{page}/{name}", take, methods=["PUT"])
    client = TestClient(UploadRoom(Starlette(routes=[route])))
    return lambda page, name, size: client.put(
        f"/_stcore/upload_file/{page}/{name}", content=b"x" * size
    )


def held(files):
    return {(page, name) for page, named in files.file_storage.items() for name in named}


class TestUploadRoom:
    def test_a_page_keeps_its_newest_file_only(self, files, put):
        for number in range(10):
            assert put("ana", f"file-{number}", 60).status_code == 204

        assert held(files) == {("ana", "file-9")}

    def test_refuses_what_has_no_room_and_keeps_what_others_are_about_to_use(self, files, put):
        put("ana", "hers", 60)

        answer = put("bo", "his", 60)

        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "30"
        assert held(files) == {("ana", "hers")}

    def test_makes_room_by_dropping_what_nobody_used(self, files, put, monkeypatch):
        put("ana", "hers", 60)
        monkeypatch.setattr(upload_room, "_USED_WITHIN_S", 0.0)

        assert put("bo", "his", 60).status_code == 204
        assert held(files) == {("bo", "his")}

    def test_takes_what_has_room_beside_the_others(self, files, put):
        put("ana", "hers", 40)

        assert put("bo", "his", 40).status_code == 204
        assert len(held(files)) == 2
