import pytest

from core.errors import SettingsError
from core.settings import read_settings
from core.site import LOOPBACK, Site, check_site

OPEN = Site("0.0.0.0")
NAMED = Site("", frozenset({"capista.example.com", "*.Example.ORG", "BOX.local."}))

ALWAYS = [
    "localhost",
    "localhost:8501",
    "LOCALHOST",
    "LocalHost:80",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:8501",
    "127.8.9.10:1",
    "[::1]",
    "[::1]:8501",
    "[0:0:0:0:0:0:0:1]:8501",
]
NEVER = [
    None,
    "",
    " ",
    ":8501",
    ".",
    "a b",
    "localhost evil.test",
    "evil.test",
    "EVIL.test:8501",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "evil.test.localhost",
    "notlocalhost",
    "localhost.localdomain",
    "evil.test:localhost",
    "evil.test:127.0.0.1",
    "localhost:evil.test",
    "localhost:port",
    "localhost:-1",
    "localhost:+1",
    "localhost:65536",
    "localhost:99999999999999999999",
    "localhost:8501:8501",
    "localhost:８５０１",
    "127.0.0.1@evil.test",
    "localhost@evil.test",
    "ana@localhost",
    "ana:secret@localhost",
    "localhost/evil.test",
    "evil.test/localhost",
    "evil.test?localhost",
    "evil.test#localhost",
    "evil.test?@localhost",
    "http://localhost",
    "//localhost",
    "localhost,evil.test",
    "::1",
    "[::1",
    "::1]",
    "[localhost]",
    "[::1].evil.test",
    "[::1]evil.test",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "localhos\u0442",
    "ｌocalhost",
    "localhost\u200b",
    "*",
    "*.example.com",
    "x" * 100_000,
]


class TestAnswersTo:
    SITES = (LOOPBACK, OPEN, NAMED)

    @pytest.mark.parametrize("host", ALWAYS)
    def test_takes_what_can_only_be_this_machine(self, host):
        assert [site for site in self.SITES if not site.answers_to(host)] == []

    @pytest.mark.parametrize("host", NEVER, ids=lambda host: ascii(host)[:30])
    def test_refuses_everything_else(self, host):
        assert [site for site in self.SITES if site.answers_to(host)] == []

    @pytest.mark.parametrize("host", ["192.168.1.7", "192.168.1.7:8501", "[2001:db8::1]:8501"])
    def test_takes_an_address_in_digits_where_others_are_served(self, host):
        assert OPEN.answers_to(host)
        assert Site("").answers_to(host)
        assert Site("192.168.1.7").answers_to(host)
        assert not LOOPBACK.answers_to(host)
        assert not Site("127.0.0.1").answers_to(host)

    @pytest.mark.parametrize(
        ("host", "is_known"),
        [
            ("capista.example.com", True),
            ("CAPISTA.example.com:443", True),
            ("capista.example.com.", True),
            ("example.com", False),
            ("x.capista.example.com", False),
            ("capista.example.com.evil.test", False),
            ("evil-capista.example.com", False),
            ("one.example.org", True),
            ("one.two.example.org:8501", True),
            ("example.org", False),
            ("evilexample.org", False),
            ("example.org.evil.test", False),
            ("one.example.orgs", False),
            ("box.local", True),
            ("box.local.:8501", True),
        ],
    )
    def test_takes_the_names_it_was_given(self, host, is_known):
        assert NAMED.answers_to(host) == is_known

    @pytest.mark.parametrize("host", ["evil.test", "one.example.com:8501", "192.168.1.7"])
    def test_takes_every_name_if_told_so(self, host):
        assert Site(names=frozenset({"*"})).answers_to(host)

    @pytest.mark.parametrize("host", [None, "", ":8501", "evil.test:port", "ana@evil.test", "[::1"])
    def test_takes_no_broken_name_even_then(self, host):
        assert not Site(names=frozenset({"*"})).answers_to(host)

    @pytest.mark.parametrize("name", ["", " ", ".", "*."])
    def test_takes_nothing_for_a_name_that_is_none(self, name):
        site = Site(names=frozenset({name}))

        assert not site.answers_to("evil.test")
        assert not site.answers_to("")


class TestIsLocal:
    @pytest.mark.parametrize(
        ("address", "is_local"),
        [
            ("localhost", True),
            ("LOCALHOST", True),
            ("127.0.0.1", True),
            ("127.0.0.2", True),
            ("::1", True),
            ("[::1]", True),
            ("", False),
            ("0.0.0.0", False),
            ("::", False),
            ("[::]", False),
            ("192.168.1.7", False),
            ("capista.example.com", False),
            ("localhost.evil.test", False),
        ],
    )
    def test_tells_whether_others_can_reach_it(self, address, is_local):
        assert Site(address).is_local == is_local


class TestTakesFrom:
    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("http://localhost:8501", "localhost:8501"),
            ("http://LOCALHOST:8501", "localhost:8501"),
            ("http://localhost:8501", "LocalHost:8501"),
            ("http://127.0.0.1", "127.0.0.1"),
            ("http://[::1]:8501", "[::1]:8501"),
            ("https://capista.example.com", "capista.example.com"),
            ("http://capista.example.com", "capista.example.com"),
        ],
    )
    def test_takes_a_page_of_the_same_server(self, origin, host):
        assert LOOPBACK.takes_from(origin, host)

    @pytest.mark.parametrize("is_https", [True, False])
    def test_does_not_mind_that_a_proxy_speaks_https(self, is_https):
        site = Site(is_https=is_https)

        assert site.takes_from("https://localhost:8501", "localhost:8501")

    @pytest.mark.parametrize(
        "origin",
        [
            "http://localhost:8502",
            "http://localhost",
            "http://localhost:85010",
            "http://127.0.0.1:8501",
            "http://evil.test",
            "http://evil.test:8501",
            "http://localhost:8501.evil.test",
            "http://localhost.evil.test:8501",
            "http://evil.test/localhost:8501",
            "http://evil.test?localhost:8501",
            "http://evil.test#localhost:8501",
            "http://localhost:8501@evil.test",
            "http://evil.test@localhost:8501",
            "http://localhost:8501/",
            "http://localhost:8501/page",
            "http://localhost:8501?x",
            "null",
            "NULL",
            "",
            " ",
            "*",
            "localhost:8501",
            "//localhost:8501",
            "file://",
            "file://localhost:8501",
            "ftp://localhost:8501",
            "ws://localhost:8501",
            "data:text/html,x",
            "javascript://localhost:8501",
            "chrome-extension://localhost:8501",
            "https-evil://localhost:8501",
            "http:localhost:8501",
            "http:///localhost:8501",
            "http://[::1",
            "http://localhost:8501, http://evil.test",
            "http://localhost:8501 http://evil.test",
        ],
    )
    def test_refuses_every_other(self, origin):
        assert not LOOPBACK.takes_from(origin, "localhost:8501")

    @pytest.mark.parametrize("origin", ["null", "file://", "", "http://localhost"])
    @pytest.mark.parametrize("host", [None, ""])
    def test_refuses_all_without_a_host(self, origin, host):
        assert not LOOPBACK.takes_from(origin, host)


class TestCheckSite:
    ADMINS = "boss@example.com"

    @pytest.mark.parametrize(
        ("site", "settings"),
        [
            (LOOPBACK, {}),
            (Site("127.0.0.1"), {}),
            (Site("localhost", requires_sign_in=True), {"admin_emails": ADMINS}),
            (Site("", requires_sign_in=True), {"admin_emails": ADMINS}),
            (Site("0.0.0.0"), {"listen_without_sign_in": True}),
            (Site(""), {"listen_without_sign_in": True}),
        ],
        ids=str,
    )
    def test_lets_a_safe_server_start(self, site, settings):
        check_site(site, read_settings(**settings))

    @pytest.mark.parametrize("admins", ["", " , ,"])
    @pytest.mark.parametrize("address", ["localhost", ""])
    @pytest.mark.parametrize("listens", [True, False])
    def test_refuses_a_sign_in_that_lets_nobody_in(self, admins, address, listens):
        settings = read_settings(admin_emails=admins, listen_without_sign_in=listens)

        with pytest.raises(SettingsError, match=r"set ADMIN_EMAILS to your e-mail address.+\.$"):
            check_site(Site(address, requires_sign_in=True), settings)

    @pytest.mark.parametrize(
        ("address", "named"),
        [("", "every address"), ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("10.0.0.1", "10.0.0.1")],
    )
    def test_refuses_to_serve_strangers(self, address, named):
        with pytest.raises(SettingsError) as raised:
            check_site(Site(address), read_settings(admin_emails=self.ADMINS))

        assert f"listen on {named}, where other machines" in str(raised.value)
        assert "LISTEN_WITHOUT_SIGN_IN=true" in str(raised.value)

    def test_does_so_before_anything_is_opened(self, tmp_path):
        from core.app import create_app

        with pytest.raises(SettingsError):
            create_app(read_settings(data_dir=tmp_path / "data"), site=Site(""))

        assert not (tmp_path / "data").exists()
