"""`kb import`: one command a kind of source, all with the same options. Heavy imports are inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.errors import InputError, SourceError

if TYPE_CHECKING:
    from rich.console import Console

    from indexer.importing.fetching import Credentials
    from indexer.importing.pages import Source
    from indexer.importing.reporting import Report
    from indexer.metadata import Audience

app = typer.Typer(
    no_args_is_help=True,
    help="Turn a foreign knowledge base into a folder of articles, and keep it in line. See docs/import.md.",
)

Target = Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the articles, one for each source.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that were edited after their import.")]
Full = Annotated[bool, typer.Option("--full", help="Fetch and convert every page again, changed or not.")]
MassDelete = Annotated[
    bool, typer.Option("--allow-mass-delete", help="Go on even if more than half of the pages are gone.")
]
Attachments = Annotated[
    bool, typer.Option("--attachments", help="Download attachments into a folder beside the article.")
]
AllInternal = Annotated[
    bool, typer.Option("--all-internal", help="Mark every article internal, whatever the source says.")
]
Products = Annotated[
    list[str] | None, typer.Option("--product", help="Product of articles that name none; may repeat.")
]
CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FILE",
        help="File of KB_IMPORT_USER= and KB_IMPORT_TOKEN= lines. Default: the environment.",
    ),
]
Unrestricted = Annotated[
    Literal["public", "internal"],
    typer.Option("--audience", help="Audience of pages that nothing at the source restricts."),
]
Unsaid = Annotated[Literal["public", "internal"], typer.Option("--audience", help="Audience of files that name none.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the report as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary, only what needs attention.")]

EXIT_STATUS = (
    "Exit status: 0 fine; 1 some pages failed or were edited on both sides; 2 nothing done, or stopped before the end."
)


@app.command(epilog=EXIT_STATUS)
def confluence(
    place: Annotated[
        str, typer.Argument(metavar="ADDRESS|EXPORT", help="https://SITE.atlassian.net, or a space export.")
    ],
    *,
    to: Target,
    space: Annotated[str, typer.Option("--space", help="Key of the space; only with an address.")] = "",
    audience: Unrestricted = "internal",
    credentials: CredentialsFile = None,
    dry_run: DryRun = False,
    force: Force = False,
    full: Full = False,
    allow_mass_delete: MassDelete = False,
    attachments: Attachments = False,
    all_internal: AllInternal = False,
    product: Products = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import a Confluence space: by REST, or from an HTML or XML export (ZIP file or folder)."""

    def open_source(stack: ExitStack) -> Source:
        if _is_address(place):
            from indexer.importing.confluence import ConfluenceSpace

            if not space:
                raise InputError("name the space with --space KEY; it stands in the address: /wiki/spaces/KEY/")
            return ConfluenceSpace(place, space, _credentials(credentials), _audience(audience))
        from indexer.importing.confluence_export import open_confluence_export

        if space:
            raise InputError("--space is for an address; an export holds one space already")
        return open_confluence_export(Path(place), _audience(audience))

    _import(
        open_source, to, as_json, quiet, dry_run, force, full, allow_mass_delete, attachments, all_internal, product
    )


@app.command("zendesk-guide", epilog=EXIT_STATUS)
def zendesk_guide(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="https://SUBDOMAIN.zendesk.com")],
    *,
    to: Target,
    locale: Annotated[str, typer.Option("--locale", help="Such as en-us. Default: the help center's own.")] = "",
    credentials: CredentialsFile = None,
    dry_run: DryRun = False,
    force: Force = False,
    full: Full = False,
    allow_mass_delete: MassDelete = False,
    attachments: Attachments = False,
    all_internal: AllInternal = False,
    product: Products = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import the articles of a Zendesk help center. Published articles that everyone may see become public."""

    def open_source(stack: ExitStack) -> Source:
        from indexer.importing.zendesk import ZendeskGuide

        return ZendeskGuide(address, _credentials(credentials), locale)

    _import(
        open_source, to, as_json, quiet, dry_run, force, full, allow_mass_delete, attachments, all_internal, product
    )


@app.command(epilog=EXIT_STATUS)
def servicenow(
    place: Annotated[
        str, typer.Argument(metavar="ADDRESS|FILE", help="https://INSTANCE.service-now.com, or a JSON or XML export.")
    ],
    *,
    to: Target,
    base: Annotated[
        list[str] | None, typer.Option("--base", help="Only this knowledge base (name or sys_id); may repeat.")
    ] = None,
    audience: Unrestricted = "internal",
    credentials: CredentialsFile = None,
    dry_run: DryRun = False,
    force: Force = False,
    full: Full = False,
    allow_mass_delete: MassDelete = False,
    attachments: Attachments = False,
    all_internal: AllInternal = False,
    product: Products = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import ServiceNow knowledge articles: by the Table API, or from an export of kb_knowledge."""

    def open_source(stack: ExitStack) -> Source:
        from indexer.importing.servicenow import ServiceNowExport, ServiceNowTable

        bases, unrestricted = tuple(base or ()), _audience(audience)
        if _is_address(place):
            return ServiceNowTable(place, _credentials(credentials), bases, unrestricted)
        return ServiceNowExport(Path(place), bases, unrestricted)

    _import(
        open_source, to, as_json, quiet, dry_run, force, full, allow_mass_delete, attachments, all_internal, product
    )


@app.command(epilog=EXIT_STATUS)
def git(
    place: Annotated[str, typer.Argument(metavar="ADDRESS|DIR", help="Clone address or local repository; wikis too.")],
    *,
    to: Target,
    ref: Annotated[str, typer.Option("--ref", help="Branch, tag or commit. Default: HEAD.")] = "",
    subfolder: Annotated[str, typer.Option("--subfolder", metavar="DIR", help="Only this folder of it.")] = "",
    audience: Unsaid = "internal",
    credentials: CredentialsFile = None,
    dry_run: DryRun = False,
    force: Force = False,
    full: Full = False,
    allow_mass_delete: MassDelete = False,
    all_internal: AllInternal = False,
    product: Products = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import the Markdown files of a Git repository or wiki. The front matter's audience counts."""

    def open_source(stack: ExitStack) -> Source:
        from indexer.importing.git_repository import GitRepository

        return stack.enter_context(GitRepository(place, ref, subfolder, _audience(audience), _credentials(credentials)))

    _import(open_source, to, as_json, quiet, dry_run, force, full, allow_mass_delete, False, all_internal, product)


@app.command(epilog=EXIT_STATUS)
def html(
    place: Annotated[Path, typer.Argument(metavar="DIR|ZIP", help="Folder or ZIP file of HTML files.")],
    *,
    to: Target,
    audience: Unsaid = "internal",
    dry_run: DryRun = False,
    force: Force = False,
    full: Full = False,
    allow_mass_delete: MassDelete = False,
    all_internal: AllInternal = False,
    product: Products = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import plain HTML files; those of `kb export` keep their front matter."""

    def open_source(stack: ExitStack) -> Source:
        from indexer.importing.html_folder import HtmlFolder

        return HtmlFolder(place, _audience(audience))

    _import(open_source, to, as_json, quiet, dry_run, force, full, allow_mass_delete, False, all_internal, product)


def _import(
    open_source: Callable[[ExitStack], Source],
    to: Path,
    as_json: bool,
    quiet: bool,
    dry_run: bool,
    force: bool,
    full: bool,
    mass_delete: bool,
    attachments: bool,
    all_internal: bool,
    product: list[str] | None,
) -> None:
    """Run one import and show what came of it. Ends with the exit status."""
    from rich.console import Console

    from indexer.importing.syncing import SyncOptions, sync_pages
    from indexer.progress import reporter_for

    console = Console(stderr=True)
    options = SyncOptions(dry_run, force, full, mass_delete, attachments, all_internal, tuple(product or ()))
    try:
        with ExitStack() as stack:
            source = open_source(stack)
            with reporter_for(console, quiet) as progress:
                report = sync_pages(source, to, options, progress)
    except OSError as error:
        raise SourceError(f"{error.filename or to} cannot be read or written: {error.strerror}") from error
    _show(console, report, as_json, quiet)
    raise typer.Exit(report.exit_status)


def _show(console: Console, report: Report, as_json: bool, quiet: bool) -> None:
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=1), flush=True)
    for line in report.troubles():
        if not quiet or not line.startswith(("left out", "note")):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        console.print(report.summary(), markup=False, highlight=False, soft_wrap=True)
    if report.stopped:
        console.print(f"kb: {report.stopped}", style="red", markup=False, highlight=False, soft_wrap=True)


def _is_address(place: str) -> bool:
    return "://" in place


def _audience(value: str) -> Audience:
    from indexer.metadata import Audience

    return Audience(value)


def _credentials(file: Path | None) -> Credentials:
    from indexer.importing.fetching import load_credentials

    return load_credentials(file)
