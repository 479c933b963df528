import ast
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import select

from core import images
from core.database import reading, transaction
from core.ledger import CallState
from core.models import JobState, Origin, Product, SyncRun
from tests.builders import NOW, make_call, make_image, make_job, make_note, make_product
from tests.pages.hostile import NAMES

PAGES = Path(__file__).parents[2] / "pages"
CONNECTED = {"hotmart_client_id": "an-id", "hotmart_client_secret": "a-secret"}


def show_picture(dashboard, product: Product) -> str:
    image = make_image(product)
    with transaction(dashboard.app.engine) as session:
        session.add(image)
        session.flush()
        session.get_one(Product, product.id).image_url = image.image_url
        session.get_one(Product, product.id).current_image_id = image.id
    return image.image_url


def give_job(dashboard, product: Product, **changes) -> None:
    job = make_job(product, **changes)
    with transaction(dashboard.app.engine) as session:
        session.add(job)
        session.get_one(Product, product.id).cover_job_id = job.id


class TestEmptyState:
    def test_says_what_to_do(self, dashboard):
        dashboard.open()

        assert "Press *Sync with Hotmart*" in dashboard.said()
        assert dashboard.names() == []

    def test_of_a_search_offers_to_clear_it(self, dashboard):
        dashboard.save(make_product(name="Yoga"))
        dashboard.open(search="zzz", status="PAUSED", sort="name")
        assert "No offer matches" in dashboard.said()

        dashboard.press("clear-filters")

        assert dashboard.names() == ["Yoga"]
        assert dashboard.address() == {}
        assert dashboard.at.text_input(key="search_widget").value == ""


class TestSearch:
    @pytest.mark.parametrize("words", ["violao", "VIOLÃO", "zero viol", "escola"])
    def test_keeps_only_what_matches(self, dashboard, words):
        dashboard.save(
            make_product(name="Violão do Zero", producer_name="Escola Som"),
            make_product(name="Piano"),
        )
        dashboard.open()

        dashboard.at.text_input(key="search_widget").set_value(words)
        dashboard.run()

        assert dashboard.names() == ["Violão do Zero"]
        assert dashboard.address() == {"search": words}

    @pytest.mark.parametrize("words", ["%", "_", "\\", "' OR 1=1 --", "💥", "x" * 5000])
    def test_takes_any_words_as_words(self, dashboard, words):
        dashboard.save(make_product(name="Piano"))

        dashboard.open(search=words)

        assert dashboard.names() == []
        assert "No offer matches" in dashboard.said()


class TestFilters:
    def test_keep_a_status(self, dashboard):
        dashboard.save(make_product(name="On"), make_product(name="Off", status="PAUSED"))
        dashboard.open()

        dashboard.at.selectbox(key="status_widget").set_value("PAUSED")
        dashboard.run()

        assert dashboard.names() == ["Off"]
        assert dashboard.address() == {"status": "PAUSED"}

    def test_show_a_status_that_hotmart_invents(self, dashboard):
        dashboard.save(make_product(name="Odd", status="BRAND_NEW"), make_product())

        dashboard.open(status="BRAND_NEW")

        assert dashboard.names() == ["Odd"]
        assert "Brand new" in dashboard.at.selectbox(key="status_widget").options

    def test_keep_an_origin(self, dashboard):
        dashboard.save(make_product(name="Mine", origin=Origin.CREATED), make_product())

        dashboard.open(origin="created")

        assert dashboard.names() == ["Mine"]

    def test_leave_archived_offers_out_unless_asked_for(self, dashboard):
        dashboard.save(make_product(name="Gone", archived_at=NOW), make_product(name="Here"))

        dashboard.open()
        assert dashboard.names() == ["Here"]
        dashboard.open(status="ARCHIVED")
        assert dashboard.names() == ["Gone"]

    def test_tell_pictures_apart(self, dashboard):
        bare, shown, failed = (make_product(name=name) for name in ("Bare", "Shown", "Failed"))
        making = make_product(name="Making")
        dashboard.save(bare, shown, failed, making)
        show_picture(dashboard, shown)
        give_job(dashboard, failed, state=JobState.FAILED, error="No.")
        give_job(dashboard, making, state=JobState.RUNNING)

        seen = {}
        for picture in ("any", "with", "without", "making", "failed"):
            dashboard.open(picture=picture)
            seen[picture] = set(dashboard.names())

        assert seen == {
            "any": {"Bare", "Shown", "Failed", "Making"},
            "with": {"Shown"},
            "without": {"Bare", "Failed", "Making"},
            "making": {"Making"},
            "failed": {"Failed"},
        }

    @pytest.mark.parametrize(
        ("sort", "names"),
        [
            ("newest", ["C", "B", "A"]),
            ("name", ["A", "B", "C"]),
            ("-name", ["C", "B", "A"]),
            ("price", ["B", "A", "C"]),
            ("-price", ["A", "B", "C"]),
        ],
    )
    def test_put_offers_in_order(self, dashboard, sort, names):
        dashboard.save(make_product(name="A", price=Decimal(20)))
        dashboard.save(make_product(name="B", price=Decimal(10)))
        dashboard.save(make_product(name="C", price=None))

        dashboard.open(sort=sort)

        assert dashboard.names() == names

    @pytest.mark.parametrize(
        "address",
        [
            {"status": "nope", "origin": "nope", "picture": "nope", "sort": "nope"},
            {"page": "99"},
            {"page": "-1"},
            {"page": "x"},
            {"page": "²"},
            {"page": "9" * 50},
            {"page": "1" * 5_000},
        ],
    )
    def test_of_a_broken_link_are_the_defaults(self, dashboard, address):
        dashboard.save(*[make_product() for _ in range(30)])

        dashboard.open(**address)

        assert len(dashboard.names()) == 24
        assert dashboard.address() == {}


class TestPages:
    def test_hold_24_offers_each(self, dashboard):
        dashboard.save(*[make_product(name=f"{n:02}") for n in range(30)])
        dashboard.open(sort="name")
        assert dashboard.names() == [f"{n:02}" for n in range(24)]

        dashboard.at.pagination(key="page_widget").set_value(2)
        dashboard.run()

        assert dashboard.names() == [f"{n:02}" for n in range(24, 30)]
        assert dashboard.address() == {"sort": "name", "page": "2"}

    def test_begin_at_the_first_after_a_search(self, dashboard):
        dashboard.save(*[make_product(name=f"{n:02} x") for n in range(60)])
        dashboard.open(page="3")

        dashboard.at.text_input(key="search_widget").set_value("x")
        dashboard.run()

        assert len(dashboard.names()) == 24
        assert dashboard.address() == {"search": "x"}

    def test_a_link_sets_the_whole_view(self, dashboard):
        dashboard.save(*[make_product(name=f"{n:02} x", status="PAUSED") for n in range(30)])

        at = dashboard.open(search="x", status="PAUSED", sort="-name", page="2")

        assert dashboard.names() == [f"{n:02} x" for n in range(5, -1, -1)]
        assert at.text_input(key="search_widget").value == "x"
        assert at.selectbox(key="status_widget").value == "PAUSED"
        assert at.selectbox(key="sort_widget").value == "-name"


class TestBanner:
    def test_says_what_is_sample_and_how_to_connect(self, dashboard):
        dashboard.save(make_product(origin=Origin.SAMPLE))

        dashboard.open()

        assert "sample offers" in dashboard.said()
        assert "HOTMART_CLIENT_ID" in dashboard.said()

    def test_is_absent_when_connected(self, dashboard_of):
        dashboard = dashboard_of(**CONNECTED)
        dashboard.save(make_product())

        dashboard.open()

        assert "sample" not in dashboard.said()

    def test_offers_to_put_leftover_samples_away(self, dashboard_of):
        dashboard = dashboard_of(**CONNECTED)
        dashboard.save(make_product(name="Sample", origin=Origin.SAMPLE), make_product(name="Own"))
        dashboard.open()
        assert "1 sample offer is still among yours." in dashboard.said()

        dashboard.press("archive-samples")

        assert dashboard.names() == ["Own"]
        assert "sample" not in dashboard.said()

    def test_shows_what_is_odd_about_the_settings(self, dashboard_of):
        dashboard = dashboard_of(openai_api_key="sk-x", image_model="dall-e-3")

        dashboard.open()

        assert "dall-e-3" in dashboard.said()
        assert "gpt-image-2.5-flare" in dashboard.said()


class TestMissingCovers:
    def test_are_one_click_away_with_their_price(self, dashboard_of):
        dashboard = dashboard_of(openai_api_key="sk-x")
        dashboard.save(make_product(), make_product())
        at = dashboard.open()
        label = at.button(key="make-missing").label.replace("\\", "")
        assert label.startswith("Make covers for the other 2 (about US$ 0.")

        dashboard.press("make-missing")

        assert dashboard.orders == [("missing",)]

    def test_are_free_with_the_built_in_painter(self, dashboard):
        dashboard.save(make_product())

        at = dashboard.open()

        label = at.button(key="make-missing").label.replace("\\", "")
        assert label == "Make the cover for the other 1 (free)"

    def test_say_why_the_service_refuses_the_account_until_it_takes_it_again(self, dashboard_of):
        dashboard = dashboard_of(openai_api_key="sk-x")
        product = make_product()
        dashboard.save(product)
        why = "OpenAI does **not** accept the key. Make a new key."
        give_job(dashboard, product, id="refused", state=JobState.FAILED, error=why, problem="key")
        dashboard.save(make_call(job_id="refused", state=CallState.FREE, problem="key"))

        said = [warning.value.replace("\\", "") for warning in dashboard.open().warning]
        give_job(dashboard, product, id="painted", state=JobState.SUCCEEDED)
        dashboard.save(make_call(job_id="painted", asked_at=NOW + timedelta(minutes=1)))

        assert why in said
        assert [warning.value for warning in dashboard.open().warning] == []

    def test_are_not_offered_when_none_is_missing(self, dashboard):
        product = make_product()
        dashboard.save(product)
        give_job(dashboard, product, state=JobState.QUEUED)

        at = dashboard.open()

        assert [button for button in at.button if button.key == "make-missing"] == []


class TestCard:
    def test_shows_the_thumbnail_and_what_is_known(self, dashboard):
        product = make_product(
            name="Piano", producer_name="Keys", price=Decimal("149.5"), currency="USD"
        )
        dashboard.save(product)
        dashboard.save(make_note(product), make_note(product))
        url = show_picture(dashboard, product)

        at = dashboard.open()

        card = next(element.body for element in at.html if "cap-name" in element.body)
        for part in ("Piano", "Keys", "$149.50", "Active", "2 notes"):
            assert part in card
        picture = at.image[0].proto.imgs[0]
        assert picture.url == images.thumbnail_url(url)
        assert "Picture of Piano" in str(at.image[0].proto)

    def test_says_that_its_cover_is_being_made(self, dashboard):
        product = make_product()
        dashboard.save(product)
        give_job(dashboard, product, state=JobState.RUNNING)

        at = dashboard.open()

        assert any("Making the cover" in element.body for element in at.html)

    def test_says_that_its_cover_waits_for_the_service(self, dashboard):
        product = make_product()
        dashboard.save(product)
        soon = datetime.now(UTC) + timedelta(minutes=1)
        give_job(dashboard, product, state=JobState.RUNNING, waits_until=soon)
        dashboard.save(SyncRun(trigger="button", started_at=NOW, waits_until=soon))

        at = dashboard.open()

        cards = " ".join(element.body for element in at.html)
        assert "The image service is busy; trying again in" in cards
        assert "Making the cover" not in cards
        sidebar = " ".join(caption.value for caption in at.sidebar.caption)
        assert "The image service is busy" in sidebar
        assert "Hotmart is busy" in sidebar

    def test_says_no_longer_that_its_cover_waits_when_the_wait_is_over(self, dashboard):
        product = make_product()
        dashboard.save(product)
        give_job(dashboard, product, state=JobState.RUNNING, waits_until=NOW)

        at = dashboard.open()

        assert not any("busy" in element.body for element in at.html)

    def test_says_why_there_is_no_cover_and_lets_one_try_again(self, dashboard):
        product = make_product()
        dashboard.save(product)
        why = "The <b>service</b> refused **this** prompt."
        give_job(dashboard, product, state=JobState.FAILED, error=why, prompt="A quiet cat")
        at = dashboard.open()
        assert any("&lt;b&gt;service&lt;/b&gt; refused **this**" in e.body for e in at.html)

        dashboard.press(f"retry-{product.id}")

        assert dashboard.orders == [("cover", product.id, "A quiet cat")]

    @pytest.mark.parametrize("name", NAMES)
    def test_shows_a_name_from_outside_as_it_is(self, dashboard, name):
        dashboard.save(make_product(name=name, producer_name=name))

        at = dashboard.open()

        assert dashboard.names() == [name]
        assert not any("<script" in e.body or "<svg" in e.body for e in at.html)

    @pytest.mark.parametrize("kind", ["regenerate", "replace", "manage"])
    @pytest.mark.parametrize("name", NAMES[:3])
    def test_opens_dialogs_that_show_the_name_as_it_is(self, dashboard, kind, name):
        product = make_product(name=name)
        dashboard.save(product)
        dashboard.open()

        at = dashboard.press(f"{kind}-{product.id}")

        assert name in [text.value for text in at.text]

    def test_of_an_offer_that_is_gone_says_so(self, dashboard):
        product = make_product()
        dashboard.save(product)
        dashboard.open()
        dashboard.press(f"regenerate-{product.id}")
        with transaction(dashboard.app.engine) as session:
            session.delete(session.get_one(Product, product.id))

        dashboard.run()

        assert "no longer here" in dashboard.said()

    def test_orders_a_cover_with_own_words(self, dashboard):
        product = make_product()
        dashboard.save(product)
        dashboard.open()
        at = dashboard.press(f"regenerate-{product.id}")

        at.text_area(key=f"prompt-{product.id}").set_value("Play it again")
        dashboard.press(f"generate-{product.id}")

        assert dashboard.orders == [("cover", product.id, "Play it again")]
        assert [toast.value for toast in dashboard.at.toast]


class TestSidebar:
    def test_orders_a_sync(self, dashboard):
        dashboard.open()

        dashboard.press("sync")

        assert dashboard.orders == [("sync", "button")]

    def test_shows_how_far_a_sync_is(self, dashboard):
        dashboard.save(
            SyncRun(trigger="button", started_at=NOW, step="offers", step_done=3, step_total=12)
        )

        at = dashboard.open()

        assert any("Reading prices" in str(bar.proto) for bar in at.get("progress"))

    def test_says_why_a_sync_failed(self, dashboard):
        why = "Hotmart did **not** accept the credentials."
        dashboard.save(SyncRun(trigger="button", started_at=NOW, state="failed", error=why))

        dashboard.open()

        assert why in dashboard.said()

    def test_shows_the_counts_of_the_last_sync(self, dashboard):
        dashboard.save(
            SyncRun(
                trigger="button",
                started_at=NOW,
                finished_at=NOW,
                state="succeeded",
                seen=7,
                created=2,
            )
        )

        dashboard.open()

        assert "7 offers seen, 2 new" in dashboard.said()

    def test_shows_the_months_spend_against_the_budget(self, dashboard_of):
        dashboard = dashboard_of(openai_api_key="sk-x", monthly_budget_usd="20")

        dashboard.open()

        assert "Spent this month: US$ 0.00 of US$ 20.00" in dashboard.said()


class TestCostOfARerun:
    def statements(self, dashboard) -> int:
        seen = []
        dashboard.open()
        listen = (
            dashboard.app.engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, *_rest: seen.append(statement),
        )
        event.listen(*listen)
        dashboard.run()
        event.remove(*listen)
        return len(seen)

    def test_asks_the_database_as_often_for_24_cards_as_for_one(self, dashboard):
        dashboard.save(make_product())
        for_one = self.statements(dashboard)
        many = [make_product(producer_name="P") for _ in range(60)]
        dashboard.save(*many)
        dashboard.save(*[make_note(product) for product in many])
        for product in many[::2]:
            show_picture(dashboard, product)
        for product in many[1::2]:
            give_job(dashboard, product, state=JobState.FAILED, error="No.")

        assert self.statements(dashboard) == for_one

    def test_changes_nothing(self, dashboard):
        dashboard.save(make_product())
        dashboard.open()
        with reading(dashboard.app.engine) as session:
            before = [row.model_dump() for row in session.exec(select(Product))]

        dashboard.run()

        with reading(dashboard.app.engine) as session:
            assert [row.model_dump() for row in session.exec(select(Product))] == before


def test_pages_hold_no_sql():
    for file in PAGES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [n for n in names if n.startswith(("sqlalchemy", "sqlmodel"))], file
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("exec", "execute", "scalars"), file
