"""How a server is reached, read from real secrets files by Streamlit itself."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime.secrets import Secrets

from core.errors import SettingsError
from core.site import Site
from pages.components import sign_in

ROOT = Path(__file__).parents[2]
SECRETS = ("s3cret-Zq8x-client-secret", "s3cret-Zq8x-cookie-" + "x" * 32, "s3cret-Zq8x-client-id")
REDIRECT = "https://capista.example.com/oauth2callback"
SHARED = {"redirect_uri": REDIRECT, "cookie_secret": SECRETS[1]}
OWN = {
    "client_id": SECRETS[2],
    "client_secret": SECRETS[0],
    "server_metadata_url": "https://accounts.example.com/.well-known/openid-configuration",
}


def section(name, values):
    """A section of a TOML file."""
    return "\n".join([f"[{name}]", *(f'{key} = "{value}"' for key, value in values.items()), ""])


def auth(**changes):
    """An [auth] section that works; a value of None leaves the key out."""
    values = SHARED | OWN | changes
    return section("auth", {key: value for key, value in values.items() if value is not None})


@pytest.fixture
def read_site(tmp_path, monkeypatch):
    """Reads the site in a new folder with this secrets file, and with these options."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fresh = Secrets()
    fresh._file_watchers_installed = True  # a test has nobody who changes the file
    monkeypatch.setattr(st, "secrets", fresh)
    before = {name: config.get_option(name) for name in ("server.address", "server.allowedHosts")}

    def read_site(text=None, *, address="localhost", names=()):
        if text is not None:
            file = tmp_path / ".streamlit" / "secrets.toml"
            file.parent.mkdir()
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        config.set_option("server.address", address)
        config.set_option("server.allowedHosts", list(names))
        return sign_in.read_site()

    yield read_site
    for name, value in before.items():
        config.set_option(name, value)


def refused(read_site, text):
    """Return what is said of a file that can't be used; fail if it holds a secret."""
    with pytest.raises(SettingsError) as raised:
        read_site(text)
    told = "".join(traceback.format_exception(raised.value))
    assert "Zq8x" not in told
    assert str(raised.value).endswith(".")
    return str(raised.value)


class TestWithoutSignIn:
    @pytest.mark.parametrize(
        "text", [None, "", "# nothing\n", 'other = "x"\n', '[other]\nauth = "x"\n'], ids=repr
    )
    def test_needs_no_file_and_no_section(self, read_site, text):
        assert read_site(text) == Site("localhost", frozenset({"localhost"}))

    def test_takes_address_and_names_of_streamlit(self, read_site):
        site = read_site(address="192.168.1.7", names=["capista.example.com", "*.example.org"])

        assert site.address == "192.168.1.7"
        assert site.names == {"192.168.1.7", "capista.example.com", "*.example.org"}
        assert not site.is_local
        assert not site.requires_sign_in
        assert not site.is_https

    @pytest.mark.parametrize("address", [None, ""])
    def test_knows_no_address_as_every_address(self, read_site, address):
        site = read_site(address=address)

        assert site == Site("", frozenset())
        assert not site.is_local


class TestBrokenFile:
    @pytest.mark.parametrize(
        "text",
        [
            auth() + "client_kwargs = {",
            auth().replace(f'"{SECRETS[0]}"', SECRETS[0]),
            auth() + auth(),
            "[auth\n",
            "auth",
            '"' + SECRETS[0],
            f"cookie_secret = {SECRETS[1]}",
            "\ufeff" + auth(),
            auth() + "\0",
        ],
        ids=[
            "open",
            "no quotes",
            "twice",
            "no bracket",
            "a word",
            "a quote",
            "bare",
            "mark",
            "nul",
        ],
    )
    def test_is_never_taken_for_no_sign_in(self, read_site, text):
        said = refused(read_site, text)

        assert "secrets.toml can't be read" in said

    def test_in_another_encoding_is_named_too(self, read_site):
        said = refused(read_site, (auth() + 'note = "não"\n').encode("latin-1"))

        assert "secrets.toml can't be read" in said

    def test_that_is_a_folder_is_named_too(self, read_site, tmp_path):
        (tmp_path / ".streamlit" / "secrets.toml").mkdir(parents=True)

        assert "secrets.toml can't be read" in refused(read_site, None)

    def test_in_the_home_folder_is_never_taken_for_no_sign_in(self, read_site, tmp_path):
        (tmp_path / "home" / ".streamlit").mkdir()
        (tmp_path / "home" / ".streamlit" / "secrets.toml").write_text("[auth\n")

        assert "secrets.toml can't be read" in refused(read_site, None)


class TestSection:
    @pytest.mark.parametrize(
        "text",
        ["[auth]\n", "auth = {}\n", 'auth = "yes"\n', "auth = true\n", "auth = []\n", "[[auth]]\n"],
    )
    def test_that_is_empty_lacks_everything(self, read_site, text):
        said = refused(read_site, text)

        for name in (*SHARED, *OWN):
            assert name in said

    @pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
    @pytest.mark.parametrize("name", [*SHARED, *OWN])
    def test_lacks_what_is_named(self, read_site, name, value):
        said = refused(read_site, auth(**{name: value}))

        assert f"lacks {name}. Add it" in said

    @pytest.mark.parametrize("secret", ["Zq8x", "Zq8x" * 7 + "Zq8"])
    def test_wants_a_cookie_secret_that_is_long(self, read_site, secret):
        said = refused(read_site, auth(cookie_secret=secret))

        assert "cookie_secret" in said
        assert "at least 32" in said

    def test_takes_the_shortest_cookie_secret(self, read_site):
        assert read_site(auth(cookie_secret="x" * 32)).requires_sign_in

    @pytest.mark.parametrize(
        "address",
        [
            "capista.example.com/oauth2callback",
            "/oauth2callback",
            "https:///oauth2callback",
            "https://:8501/oauth2callback",
            "ftp://capista.example.com/oauth2callback",
            "javascript:alert(1)",
            " ",
            "https://",
        ],
    )
    def test_wants_a_whole_address_to_come_back_to(self, read_site, address):
        said = refused(read_site, auth(redirect_uri=address))

        assert "redirect_uri" in said
        assert "whole address" in said

    @pytest.mark.parametrize(
        "address",
        ["https://[::1/oauth2callback", "https://capista.example.com:port/oauth2callback"],
    )
    def test_wants_an_address_that_can_be_read(self, read_site, address):
        assert "redirect_uri" in refused(read_site, auth(redirect_uri=address))

    @pytest.mark.parametrize(
        "address", ["https://capista.example.com", "https://capista.example.com/callback"]
    )
    def test_wants_the_end_that_streamlit_listens_at(self, read_site, address):
        assert "/oauth2callback" in refused(read_site, auth(redirect_uri=address))


class TestSignIn:
    @pytest.mark.parametrize(
        ("address", "name", "is_https"),
        [
            (REDIRECT, "capista.example.com", True),
            ("https://CAPISTA.example.com:8443/oauth2callback", "capista.example.com", True),
            ("HTTPS://capista.example.com/base/oauth2callback", "capista.example.com", True),
            ("http://localhost:8501/oauth2callback", "localhost", False),
            ("http://192.168.1.7:8501/oauth2callback", "192.168.1.7", False),
        ],
    )
    def test_tells_by_what_name_the_server_goes(self, read_site, address, name, is_https):
        site = read_site(auth(redirect_uri=address), address="0.0.0.0", names=["other.test"])

        assert site == Site(
            "0.0.0.0",
            frozenset({"0.0.0.0", "other.test", name}),
            requires_sign_in=True,
            is_https=is_https,
        )
        assert site.answers_to(name)
        assert not site.answers_to("accounts.example.com")

    def test_takes_more_keys(self, read_site):
        text = auth(note="x") + section("auth.client_kwargs", {"prompt": "login"})

        assert read_site(text).requires_sign_in

    @pytest.mark.parametrize("names", [["google"], ["google", "microsoft"], ["my-company"]])
    def test_takes_services_with_names(self, read_site, names):
        text = section("auth", SHARED) + "".join(section(f"auth.{name}", OWN) for name in names)

        assert read_site(text).requires_sign_in

    def test_takes_a_service_without_a_name_beside_one(self, read_site):
        assert read_site(auth() + section("auth.google", OWN)).requires_sign_in

    @pytest.mark.parametrize("name", OWN)
    def test_names_what_a_service_lacks(self, read_site, name):
        lacking = {key: value for key, value in OWN.items() if key != name}
        text = section("auth", SHARED) + section("auth.google", OWN)

        said = refused(read_site, text + section("auth.other", lacking))

        assert f"lacks other.{name}. Add it" in said

    @pytest.mark.parametrize("name", SHARED)
    def test_wants_what_services_share_above_them(self, read_site, name):
        shared = {key: value for key, value in SHARED.items() if key != name}
        text = section("auth", shared) + section("auth.google", OWN | {name: "s3cret-Zq8x"})

        assert f"lacks {name}. Add it" in refused(read_site, text)

    def test_does_not_take_options_for_a_service(self, read_site):
        text = section("auth", SHARED) + section("auth.client_kwargs", {"prompt": "login"})

        said = refused(read_site, text)

        assert "client_kwargs" not in said
        assert "client_id, client_secret, server_metadata_url" in said

    def test_names_all_that_is_missing_at_once(self, read_site):
        text = section("auth", {"cookie_secret": SECRETS[1]}) + section(
            "auth.google", {"x": "Zq8x"}
        )

        said = refused(read_site, text)

        assert "redirect_uri, google.client_id, google.client_secret" in said


class TestProcess:
    """Once as a process of its own: with Streamlit's own secrets and nothing put in their place."""

    SCRIPT = """
from core.errors import DashboardError
from pages.components.sign_in import read_site
try:
    site = read_site()
    print(site.requires_sign_in, sorted(site.names))
except DashboardError as error:
    print(type(error).__name__)
"""

    @pytest.mark.parametrize(
        ("text", "printed"),
        [
            (auth(), "True ['box.test', 'capista.example.com', 'localhost']"),
            ("[auth\n", "SettingsError"),
        ],
        ids=["good", "broken"],
    )
    def test_reads_the_folder_it_is_started_in(self, tmp_path, text, printed):
        (tmp_path / ".streamlit").mkdir()
        (tmp_path / ".streamlit" / "secrets.toml").write_text(text)
        (tmp_path / ".streamlit" / "config.toml").write_text(
            '[server]\naddress = "localhost"\nallowedHosts = ["box.test"]\n'
        )
        environment = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}

        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

        assert done.stdout.strip() == printed
        assert "Zq8x" not in done.stdout + done.stderr
