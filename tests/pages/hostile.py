"""Words from outside that a page must show as they are."""

from datetime import timedelta

from core import activity, images, pictures, products, tokens
from core.access import Actor, Role
from core.activity import Action
from core.app import App
from core.covers import CoverJob
from core.database import transaction
from core.images import Making
from core.models import JobState, Method, SyncRun
from tests.builders import (
    BOSS,
    NOW,
    make_call,
    make_job,
    make_note,
    make_picture,
    make_product,
)

NAMES = [
    "**x** :smile: <script>window.hacked=1</script>",
    "$\\LaTeX$ ![x](http://evil.test/p.gif) :material/home: :red[x]",
    "<svg onload=alert(1)> &lt;b&gt; &amp;",
    "[click](javascript:alert(1)) http://evil.test",
    "# heading `code` ~~gone~~ | a | b |",
    '" onmouseover="alert(1)" x="',
    "'; DROP TABLE products; --",
    "{name} %s%n ${x}",
    "a\u202egnp.exe",
    "x" * 300,
    "👩‍🚀",
]

STRINGS = [
    *NAMES,
    "<img src=x onerror=window.hacked=1>",
    "<iframe src=//evil.test></iframe>",
    "</div></span><script src=//evil.test/x.js></script>",
    "$\\href{http://evil.test}{x}$ $$x^2$$ \\(x\\)",
    ":red-background[x] :blue-badge[x] :small[x] :shortcut[ctrl] :material/skull:",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "www.evil.test ana@evil.test mailto:ana@evil.test HTTPS://EVIL.test",
    "    code, by four blanks",
    "```\nan open fence\n\n    and code",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "--- -> <- <-> >= <= ~= (c)",
    "- one\n- two\n\n1. one\n\n> said",
    "[^1] and\n\n[^1]: a note",
    "zero\u200bwidth\u200d\ufeff\u2060 letters",
    "\x1b[31mred\x1b[0m",
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1 -1 @SUM(A1)",
    "e\u0301 \u00e9 İ ﬁ",
    "y" * 10_000,
]
"""One by one, and all at once in ``ALL``."""
ALL = "\n\n".join(STRINGS)


def fill(app: App, words: str) -> int:
    """Put ``words`` into every field that pages show; return the offer's id."""
    stranger = Actor(words, Role.EDITOR)
    stored = images.store_picture(app.store, pictures.accept_upload(make_picture()))
    making = Making(Method.AI_GENERATED, words, prompt=words, model=words, quality=words)
    product = make_product(name=words, producer_name=words)
    with transaction(app.engine) as session:
        session.add(product)
        session.add(
            SyncRun(
                trigger="button",
                started_at=NOW,
                finished_at=NOW,
                state=JobState.FAILED,
                error=words,
            )
        )
        session.flush()
        job: CoverJob = make_job(product, state=JobState.FAILED, error=words, prompt=words)
        session.add(job)
        product.cover_job_id = job.id
        session.add(make_note(product, note=words, author=words))
        session.add(make_call(product_id=product.id, model=words, asked_by=words))
        images.add_image(
            session, app.store, product.id or 0, picture=stored, making=making, now=NOW
        )
        activity.record(session, stranger, Action.TOKEN_REVOKED, now=NOW, detail=words)
        activity.record(session, stranger, Action.NOTE_ADDED, now=NOW, product_id=product.id)
        token = "".join(c for c in words if c.isprintable())[: tokens.LONGEST_NAME].strip() or "x"
        tokens.create_token(session, name=token, role=Role.VIEWER, by=BOSS, now=NOW)
        products.get_product(session, product.id or 0).first_seen_at = NOW + timedelta(days=1)
        return product.id or 0
