"""The command line. Its commands parse, call and print; what a command does is done in the rooms it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import click

import gateway
from gateway.commands.cache import cache
from gateway.commands.check import check, print_schema
from gateway.commands.completion import completion
from gateway.commands.embed import embed
from gateway.commands.importing import import_group
from gateway.commands.keys import keys_group
from gateway.commands.probe import probe
from gateway.commands.serve import serve
from gateway.commands.space import space_group
from gateway.commands.targets import targets_group
from gateway.commands.usage import usage

SECTIONS: Final[Mapping[str, Sequence[click.Command]]] = {
    "Set up and serve": (serve, check, print_schema, import_group),
    "Try models": (embed, probe, space_group),
    "Run it": (keys_group, usage, targets_group, cache),
    "Shell": (completion,),
}


class _Sections(click.Group):
    """Its help lists commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.commands)
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                room = formatter.width - 6 - width
                formatter.write_dl([(f"{one.name:{width}}", one.get_short_help_str(room)) for one in commands])


@click.group(
    cls=_Sections,
    commands=[command for section in SECTIONS.values() for command in section],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Example: gateway embed local-small 'a cat'. Exit codes: 0 fine, 1 a problem, 2 called wrongly.",
)
@click.version_option(gateway.__version__, prog_name="gateway")
def main() -> None:
    """One OpenAI-compatible service for embeddings from any provider, hosted or local."""
