"""`gateway completion`: what teaches a shell to complete the command's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gateway.commands.output import fail


@click.command(epilog='Example: eval "$(gateway completion bash)" in ~/.bashrc.')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands, options, models and keys in SHELL.

    \b
    bash  eval "$(gateway completion bash)"    in ~/.bashrc
    zsh   eval "$(gateway completion zsh)"     in ~/.zshrc
    fish  gateway completion fish > ~/.config/fish/completions/gateway.fish
    """
    made = get_completion_class(shell)
    if made is None:
        fail(f"This version of click knows no completion for {shell}.")
    root = click.get_current_context().find_root().command
    click.echo(made(root, {}, "gateway", "_GATEWAY_COMPLETE").source())
