"""The command line: a third thin face, beside the pages and the API.

It ends with 0 when all is well, 1 when something could not be done, and 2 when it was asked in
a way it does not know.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from core import backup, covers, sync, tokens
from core.access import COMMAND, Role
from core.app import App, alone, check_there, create_app
from core.database import reading, transaction
from core.errors import DashboardError
from core.jobs import COMMAND as COMMAND_PROCESS
from core.language import _
from core.models import ACTIVE_STATES, JobState, SyncRun
from core.settings import read_settings
from core.sync import Trigger
from core.verify import verify

cli = typer.Typer(
    name="python -m core",
    help="Capista without a screen. Settings come from the environment or .env.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_cli = typer.Typer(help="Tokens with which other programs call the API.", no_args_is_help=True)
cli.add_typer(token_cli, name="token")

_LOOK_EVERY_S = 0.3
_PLAIN_LINE_EVERY_S = 10.0
_T = TypeVar("_T")


@cli.callback()
def options(
    verbose: Annotated[bool, typer.Option(help="Print the log too, to standard error.")] = False,
) -> None:
    """Set up what all commands share."""
    if not verbose:  # whoever calls gets one sentence, not a traceback
        logging.basicConfig(handlers=[logging.NullHandler()])
        logging.getLogger("dbos").setLevel(logging.CRITICAL)


@cli.command("sync")
def sync_command() -> None:
    """Bring the offers in, wait until their covers are made, and print the counts.

    A sync under way is waited for instead. May run beside the dashboard; a second sync command
    waits for the first. Progress goes to standard error, the counts to standard output. Ends with
    1 if the sync failed; covers that failed are counted in the last line.
    """
    with _app() as app, _working(app):
        run = app.jobs.start_sync(Trigger.COMMAND, by=COMMAND)
        run = _watch("Sync", lambda: _run_state(app, run.id or 0))
        if run.state == JobState.FAILED:
            raise DashboardError(run.error or "")
        failed = _watch("Covers", lambda: _covers_state(app, run.id or 0))
        counts = ("seen", "created", "updated", "unchanged", "archived", "covers_queued")
        typer.echo(" ".join(f"{name}={getattr(run, name)}" for name in counts))
        typer.echo(f"covers_failed={failed}")


@cli.command("verify")
def verify_command() -> None:
    """Check that every picture of the history is there and whole; make lost thumbnails again.

    Ends with 1 if pictures are missing or damaged, naming each; a backup may have them. Changes
    nothing else, and may run beside the dashboard.
    """
    with _app(must_exist=True) as app, _progress("Pictures") as progress:
        report = verify(app.engine, app.store, progress=progress)
    for line in report.lost:
        typer.echo(line)
    for name in report.mended:
        typer.echo(_("{name}: thumbnail made again").format(name=name))
    typer.echo(
        f"checked={report.checked} lost={len(report.lost)} mended={len(report.mended)}"
        f" orphans={len(report.orphans)}"
    )
    if not report.is_well:
        raise typer.Exit(1)


@cli.command("backup")
def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
) -> None:
    """Write everything into one file: offers, history, notes, people, pictures.

    May run while people work. Settings and secrets are not in it: keep .env and
    .streamlit/secrets.toml yourself. Covers that wait are made after a restore. Ends with 1 if
    pictures were missing or damaged; all else is in the file then.
    """
    with _app(must_exist=True) as app, _progress("Pictures") as progress:
        made = backup.back_up(app.engine, app.store, file, now=datetime.now(UTC), progress=progress)
    for name in made.lost:
        typer.echo(_("{name}: missing or damaged, so it is not in the backup").format(name=name))
    typer.echo(f"pictures={made.pictures} lost={len(made.lost)} file={file}")
    if made.lost:
        raise typer.Exit(1)


@cli.command("restore")
def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that backup wrote.")],
) -> None:
    """Bring a backup back into an empty place, after checking all of it.

    Stop the dashboard first, and point DATA_DIR at a new folder. What is there is never
    overwritten.
    """
    with alone(read_settings()), _app() as app, _progress("Files") as progress:
        count = backup.restore(app.engine, app.store, file, progress=progress)
    typer.echo(f"pictures={count}")


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API."""
    from core.api import create_api

    def no_app() -> App:
        raise RuntimeError("the document needs no App")

    typer.echo(json.dumps(create_api(no_app).openapi(), indent=2, ensure_ascii=False))


@token_cli.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What the token is for, for example the program.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="End it after so many days.")
    ] = None,
) -> None:
    """Create a token and print it, alone, on the last line. It is shown only this once."""
    now = datetime.now(UTC)
    with _app() as app, transaction(app.engine) as session:
        _token, secret = tokens.create_token(
            session,
            name=name,
            role=role,
            by=COMMAND,
            now=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
    typer.echo(secret)


@token_cli.command("list")
def list_tokens() -> None:
    """List the tokens: id, name, role, last use, end, and whether it was revoked."""
    with _app() as app, reading(app.engine) as session:
        for token in tokens.list_tokens(session, by=COMMAND):
            state = "revoked" if token.revoked_at else "valid"
            used = token.last_used_at.isoformat() if token.last_used_at else "never used"
            ends = token.expires_at.isoformat() if token.expires_at else "no end"
            typer.echo("\t".join([str(token.id), token.name, token.role, used, ends, state]))


@token_cli.command("revoke")
def revoke_token(
    token_id: Annotated[int, typer.Argument(help="The number that 'token list' shows.")],
) -> None:
    """End a token at once."""
    with _app() as app, transaction(app.engine) as session:
        token = tokens.revoke_token(session, token_id, by=COMMAND, now=datetime.now(UTC))
    typer.echo(f"Token {token.id} ({token.name}) is revoked.")


def main() -> None:
    """Run the command that was asked for; an error of ours is one sentence and exit code 1."""
    try:
        cli()
    except DashboardError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


@contextmanager
def _app(*, must_exist: bool = False) -> Iterator[App]:
    settings = read_settings()
    if must_exist:
        check_there(settings)
    app = create_app(settings, executor=COMMAND_PROCESS)
    try:
        yield app
    finally:
        app.engine.dispose()


@contextmanager
def _working(app: App) -> Iterator[None]:
    with app.jobs.alone(_say_once("Another command works on this folder; waiting for its end.")):
        app.jobs.launch()
        try:
            yield
        finally:
            app.jobs.close()


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Say how far long work is: on one line in a terminal, else now and then."""
    is_terminal = sys.stderr.isatty()
    next_line_at = time.monotonic() + _PLAIN_LINE_EVERY_S

    def progress(done: int, total: int) -> None:
        nonlocal next_line_at
        if is_terminal:
            typer.echo(f"\r\x1b[K{what}: {done} of {total}", nl=done == total, err=True)
        elif time.monotonic() >= next_line_at:
            next_line_at = time.monotonic() + _PLAIN_LINE_EVERY_S
            typer.echo(f"{what}: {done} of {total}", err=True)

    yield progress


def _say_once(words: str) -> Callable[[], None]:
    left = [words]
    return lambda: typer.echo(left.pop(), err=True) if left else None


def _run_state(app: App, run_id: int) -> tuple[bool, SyncRun, str]:
    with reading(app.engine) as session:
        run = sync.get_run(session, run_id)
    done = f"{run.step_done} of {run.step_total}" if run.step_total else f"{run.step_done}"
    return run.state != JobState.RUNNING, run, f"{run.step or 'starting'}: {done}"


def _covers_state(app: App, run_id: int) -> tuple[bool, int, str]:
    with reading(app.engine) as session:
        states = covers.count_by_state(session, sync_run_id=run_id)
    waiting = sum(states.get(state, 0) for state in ACTIVE_STATES)
    return not waiting, states.get(JobState.FAILED, 0), f"{waiting} to go"


def _watch(what: str, look: Callable[[], tuple[bool, _T, str]]) -> _T:
    """Look until it is done; say how far it is: on one line in a terminal, else now and then."""
    is_terminal = sys.stderr.isatty()
    last, plain_line_at = "", 0.0
    while True:
        done, found, words = look()
        if is_terminal:
            typer.echo(f"\r\x1b[K{what}: {words}", nl=done, err=True)
        elif words != last and (done or time.monotonic() >= plain_line_at):
            last, plain_line_at = words, time.monotonic() + _PLAIN_LINE_EVERY_S
            typer.echo(f"{what}: {words}", err=True)
        if done:
            return found
        time.sleep(_LOOK_EVERY_S)
