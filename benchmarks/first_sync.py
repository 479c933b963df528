"""A marketer's first minute: no settings, a click on the button, covers on the screen."""

from benchmarks.harness import NotMeasuredError, Row, folder, server, settings_in, tell
from benchmarks.screen import clicked_at, flip, new_page, wait_until_painted
from core.database import open_engine, reading
from core.products import PAGE_SIZE, Filter, count_products
from tests.browser import launched

_LIMIT_S = 10.0


def measure() -> list[Row]:
    """Sync the sample catalogue and wait for every cover: page 1, then the rest on page 2."""
    with folder() as data, launched() as browser, server(data) as dashboard:
        with new_page(browser) as page:
            page.goto(dashboard.url)
            button = page.get_by_role("button", name="Sync with Hotmart")
            button.wait_for()
            page.wait_for_timeout(3000)  # nobody clicks before having read a word
            tell("clicking on Sync with Hotmart")
            button.click()
            clicked = clicked_at(page)
            first_page = wait_until_painted(page, PAGE_SIZE) - clicked
            engine = open_engine(settings_in(data).database)
            with reading(engine) as session:
                total = count_products(session, Filter())
            flip(page, "Page 2")
            last = wait_until_painted(page, total - PAGE_SIZE) - clicked
        with reading(engine) as session:
            covered = count_products(session, Filter(has_image=True))
        engine.dispose()
    if covered != total:
        raise NotMeasuredError(f"{covered} of {total} offers have a cover")
    return [
        Row(
            f"no settings: click on Sync to the last of {total} built-in covers on the screen",
            f"≤ {_LIMIT_S:.0f} s",
            f"{last:.1f} s (the first page's 24 after {first_page:.1f} s)",
            last <= _LIMIT_S,
        )
    ]
