"""`gateway usage`: who used what, by day, key and model."""

from __future__ import annotations

import pathlib

import click

from gateway.commands import completing
from gateway.commands.common import config_option, load, with_store
from gateway.commands.output import print_json, table


@click.command(name="usage", epilog="Example: gateway usage --from 2026-11-01 --model text-embedding-3-small")
@config_option
@click.option("--from", "first", metavar="DATE", help="First day, like 2026-11-01; days are those of UTC.")
@click.option("--to", "last", metavar="DATE", help="Last day.")
@click.option("--key", help="Only of the key with this id.", shell_complete=completing.key_ids)
@click.option("--team", help="Only of this team.")
@click.option("--model", help="Only of this model.", shell_complete=completing.models)
@click.option("--json", "form", flag_value="json", help="Print JSON for scripts.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
def usage(
    file: pathlib.Path | None,
    first: str | None,
    last: str | None,
    key: str | None,
    team: str | None,
    model: str | None,
    form: str | None,
) -> None:
    """Show requests, tokens and cost by day, key and model."""
    from gateway import reports

    try:
        query = reports.usage_query(first, last, key, team, model)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    rows = with_store(load(file), lambda store: store.usage(query))
    if form == "json":
        print_json(reports.usage_report(rows))
    elif form == "csv":
        click.echo(reports.usage_csv(rows), nl=False)
    elif rows:
        table([reports.usage_row(key, sums) for key, sums in rows])
    else:
        click.echo("Nothing was used in that time.")
