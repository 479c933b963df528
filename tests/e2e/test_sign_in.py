"""Signing in, against a real OpenID provider on this machine."""

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the provider's own, about what it is built on
    from oidc_provider_mock import User, run_server_in_thread

from tests.e2e import screen, sites
from tests.e2e.conftest import Marketer, Watch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the provider's own

BOSS, ANA, VERA = "boss@example.com", "ana@example.com", "vera@agency.test"
CLAIMS = {
    "boss": {"email": BOSS, "email_verified": True},
    "ana": {"email": "Ana@Example.com", "email_verified": True},
    "vera": {"email": VERA, "email_verified": True},
    "stranger": {"email": "ana@example.com.evil.test", "email_verified": True},
    "kelvin": {"email": "boss@example.com".replace("s", "ſ"), "email_verified": True},
    "unverified": {"email": BOSS, "email_verified": False},
}

SECRETS = """
    [auth]
    redirect_uri = "http://localhost:{{port}}/oauth2callback"
    cookie_secret = "not-so-random-not-so-random-not-so-random"
    client_id = "capista"
    client_secret = "planted-client-secret"
    server_metadata_url = "{provider}/.well-known/openid-configuration"
"""


@dataclass
class Person:
    """Somebody with a browser of their own and an account at the provider."""

    marketer: Marketer
    account: str

    def sign_in(self, path: str = "/") -> Page:
        """Open Capista and sign in; whether that lets them in, the page says."""
        page = self.marketer.open(path)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("button", name=self.account, exact=True).click()
        page.wait_for_url(self.marketer.url + "/*")
        return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Capista where people sign in and which has the sample offers."""
    folder = tmp_path_factory.mktemp("sign_in")
    users = [User(sub=name, claims=claims) for name, claims in CLAIMS.items()]
    with run_server_in_thread(user_claims=users, require_nonce=True) as provider:
        secrets = SECRETS.format(provider=f"http://localhost:{provider.server_port}")
        with sites.running(folder, secrets=secrets, ADMIN_EMAILS=BOSS) as url:
            yield url
        assert "planted-client-secret" not in sites.log_of(folder)
        assert "Traceback" not in sites.log_of(folder)


@pytest.fixture
def person(chromium: Browser, site: str) -> Iterator[Callable[[str], Person]]:
    """Send someone to the site; its own pages must leave no error in the console."""
    watch, contexts = Watch(), []

    def send(account: str) -> Person:
        context = chromium.new_context(viewport={"width": 1400, "height": 1000})
        context.set_default_timeout(30_000)
        # The provider's pages ask another host for their looks; ours ask nobody.
        context.route(lambda url: "localhost" not in url, lambda route: route.abort())
        context.on(
            "console",
            lambda said: watch.on_console(said) if said.page.url.startswith(site) else None,
        )
        contexts.append(context)
        return Person(Marketer(context, site), account)

    yield send
    for context in contexts:
        context.close()
    assert watch.errors == []


def shown(words: str) -> str:
    """Return words with an address in them as a label shows them: it must not become a link."""
    return words.replace("@", "@\u2060")


def expect_shut_out(page: Page, why: str) -> None:
    """Wait until nothing is drawn but the gate and its reason."""
    expect(page.get_by_text(shown(why))).to_be_visible()
    expect(page.get_by_role("button", name="Sync with Hotmart")).to_have_count(0)
    expect(page.get_by_role("link", name="Offers")).to_have_count(0)
    expect(screen.cards(page)).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)


def leave(page: Page, button: str) -> None:
    """Sign out here, and then at the provider, which asks whether one means it."""
    screen.press(page, button)
    page.get_by_role("button", name="End session").click()


def let_in(boss: Page, pattern: str, role: str) -> None:
    """Have the boss write somebody onto the list."""
    boss.goto(re.sub(r"(//[^/]+).*", r"\1/settings", boss.url))
    boss.get_by_role("tab", name="People").click()
    boss.get_by_role("textbox", name="E-mail address or domain").fill(pattern)
    screen.choose(boss, "Role", re.compile(role))
    screen.press(boss, "Let in")
    expect(boss.get_by_text(pattern, exact=True).first).to_be_visible()


def give_role(boss: Page, pattern: str, role: str) -> None:
    screen.choose(boss, f"Role of {pattern}", re.compile(role))
    expect(boss.get_by_text("Role changed.")).to_be_visible()
    screen.settle(boss)
    expect(boss.get_by_role("combobox", name=f"Role of {pattern}")).to_have_value(re.compile(role))


@pytest.fixture
def boss(person) -> Page:
    """The Settings page, as the boss sees it."""
    page = person("boss").sign_in()
    screen.press(page, "Sync with Hotmart")
    expect(page.get_by_text("36 offers", exact=True)).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("tab", name="People").click()
    return page


@pytest.mark.parametrize("path", ["/", "/notes", "/image_manager?product=1", "/settings"])
def test_nothing_is_drawn_before_one_has_signed_in(person, path):
    page = person("ana").marketer.open(path)

    expect_shut_out(page, "Sign in to go on.")
    assert page.locator("img[src*='/pictures/']").count() == 0


@pytest.mark.parametrize(
    ("account", "why"),
    [
        ("stranger", "ana@example.com.evil.test is not among the people who may use this Capista"),
        ("kelvin", "did not vouch for your e-mail address"),
        ("unverified", "did not vouch for your e-mail address"),
    ],
)
def test_who_is_not_on_the_list_is_told_so_and_may_try_another_account(person, account, why):
    page = person(account).sign_in()

    expect_shut_out(page, why)
    leave(page, "Use another account")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_an_admin_is_let_in_and_what_they_do_bears_their_name(person, boss, screenshots):
    screen.settle(boss)
    boss.screenshot(path=screenshots / "settings_people.png")
    boss.get_by_role("tab", name="Activity").click()
    expect(boss.get_by_text(f"{BOSS} started a sync").first).to_be_visible()
    boss.screenshot(path=screenshots / "settings_activity.png")
    boss.get_by_role("tab", name="Tokens").click()
    boss.get_by_role("textbox", name="What it is for").fill("old system")
    screen.press(boss, "Create token")
    expect(boss.get_by_text(re.compile(r"^capista_\S{43}$"))).to_be_visible()
    boss.screenshot(path=screenshots / "settings_tokens.png")
    screen.press(boss, "I have copied it")
    expect(boss.get_by_text(re.compile("capista_"))).to_have_count(0)
    expect(boss.get_by_text("1. old system").first).to_be_visible()
    boss.get_by_role("tab", name="Connections").click()
    boss.get_by_role("button", name="Test Hotmart").click()
    expect(boss.get_by_text("Hotmart is not connected.")).to_be_visible()
    boss.screenshot(path=screenshots / "settings_connections.png")


def test_a_role_that_is_taken_away_is_gone_at_the_next_click(person, boss):
    let_in(boss, ANA, "Editor")
    ana = person("ana").sign_in("/notes")
    expect(ana.get_by_role("link", name="Settings")).to_have_count(0)
    screen.press(screen.cards(ana).first, "Regenerate")
    dialog = screen.dialog(ana, "Regenerate the cover")

    give_role(boss, ANA, "Viewer")
    dialog.get_by_role("textbox").fill("Words that she had in mind")
    dialog.get_by_role("button", name="Generate").click()

    expect(ana.get_by_text(re.compile("viewer may not do this"))).to_be_visible()
    screen.close_dialog(ana)
    expect(ana.get_by_role("button", name="Manage").first).to_be_visible()
    for name in ("Regenerate", "Replace image", "Sync with Hotmart", "Try again"):
        expect(ana.get_by_role("button", name=name)).to_have_count(0)
    ana.get_by_role("button", name="Manage").first.click()
    expect(screen.dialog(ana, "Manage the offer").get_by_text("You may look")).to_be_visible()
    for name in ("Generate", "Revert", "Add note"):
        expect(ana.get_by_role("button", name=name)).to_have_count(0)

    screen.press(boss, "Remove")
    expect(boss.get_by_role("combobox", name=f"Role of {ANA}")).to_have_count(0)
    screen.close_dialog(ana)
    expect_shut_out(ana, f"{ANA} is not among the people who may use this Capista")


def test_signing_out_shuts_the_other_tab_too_and_signing_in_opens_again(person, boss):
    let_in(boss, "@agency.test", "Viewer")
    vera = person("vera")
    first = vera.sign_in()
    expect(screen.cards(first).first).to_be_visible()
    second = vera.marketer.open("/notes")
    expect(second.get_by_text("0 notes")).to_be_visible()

    first.get_by_role("button", name=shown(VERA)).click()
    leave(first, "Sign out")

    expect_shut_out(first, "Sign in to go on.")
    screen.search(second, "anything")
    expect_shut_out(second, "You were signed out. Sign in again to go on.")
    again = vera.sign_in()
    expect(screen.cards(again).first).to_be_visible()


def test_signing_somebody_out_everywhere_ends_every_browser_they_are_in(person, boss):
    let_in(boss, "@agency.test", "Viewer")
    pages = [person("vera").sign_in(), person("vera").sign_in()]
    for page in pages:
        expect(screen.cards(page).first).to_be_visible()
    boss.reload()
    boss.get_by_role("tab", name="People").click()

    boss.locator('[class*="st-key-sign-out-"] button >> nth=0').wait_for()
    row = boss.locator('[data-testid="stHorizontalBlock"]').filter(has_text=VERA).last
    screen.press(row, "Sign out everywhere")
    expect(boss.get_by_text("Signed out on every device.")).to_be_visible()

    for page in pages:
        screen.search(page, "anything")
        expect_shut_out(page, "You were signed out. Sign in again to go on.")
        page.reload()
        expect_shut_out(page, "You were signed out. Sign in again to go on.")


def test_leaving_by_streamlit_s_own_address_shuts_every_tab(person, boss):
    let_in(boss, "@agency.test", "Viewer")
    vera = person("vera")
    first = vera.sign_in()
    expect(screen.cards(first).first).to_be_visible()

    vera.marketer.context.request.get(f"{vera.marketer.url}/auth/logout", max_redirects=0)

    screen.search(first, "anything")
    expect_shut_out(first, "You were signed out. Sign in again to go on.")


def test_files_are_taken_from_editors_only(person, boss, site):
    let_in(boss, "@agency.test", "Viewer")
    vera = person("vera").sign_in()
    expect(screen.cards(vera).first).to_be_visible()
    place = f"{site}/_stcore/upload_file/some-session/some-file"

    said = [
        page.context.request.put(place, data=b"x" * 1000).text()
        for page in (person("stranger").marketer.open(), vera, boss)
    ]

    assert "Sign in to go on." in said[0]
    assert "The role viewer may not do this" in said[1]
    assert "may not" not in said[2]  # Streamlit's own checks come next


def test_another_cookie_secret_is_not_taken_while_the_server_runs(tmp_path, chromium):
    """Streamlit would: an empty one lets everybody sign cookies."""
    secrets = SECRETS.format(provider="http://localhost:1")
    options = ["--server.fileWatcherType", "poll"]
    with (
        sites.running(tmp_path, secrets=secrets, options=options, ADMIN_EMAILS=BOSS) as url,
        chromium.new_context() as context,
    ):
        page = context.new_page()
        page.goto(url)
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()

        changed = re.sub('cookie_secret = ".*"', 'cookie_secret = ""', secrets)
        (tmp_path / ".streamlit" / "secrets.toml").write_text(changed)

        for _attempt in range(60):  # Streamlit looks at the file now and then
            page.reload()
            screen.settle(page)
            if page.get_by_text("The sign-in was set up anew.").count():
                break
        expect(page.get_by_text("The sign-in was set up anew.")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_have_count(0)
