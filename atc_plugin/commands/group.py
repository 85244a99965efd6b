"""`atc`: its commands, and how it ends where one of them fails."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from .answers import document_text

NAMES = ("run", "sweep", "warm", "cache", "compile", "doctor", "profile", "tune")

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

_MISUSES = (
    ValueError,
    TypeError,
    LookupError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
"""What the library raises for what it was given; whatever else comes is a failure of what was in order."""


class Commands(click.Group):
    """Commands by the names of their modules, imported when they are asked for; every end has its status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order in which they are needed."""
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One by its name."""
        if cmd_name not in NAMES:
            return None
        command: click.Command = import_module(f".{cmd_name}", __package__).command
        return command

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command and end the process: 0 done, 1 failed, 2 wrong usage or input, 130 Ctrl-C.

        An error is one line on stderr, and with `--json` a document on stdout too.
        """
        given = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            status = super().main(given, prog_name or "atc", **extra)
            sys.exit(status if isinstance(status, int) else DONE)
        except click.Abort:
            status, message = INTERRUPTED, "interrupted"
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()  # the help, on stderr
            sys.exit(error.exit_code)
        except click.ClickException as error:
            status, message = error.exit_code, _usage(error)
        except Exception as error:
            status, message = (MISUSED if isinstance(error, _MISUSES) else FAILED), _in_words(error)
            if "--debug" in given:
                traceback.print_exc()
        click.echo(f"error: {message}", err=True)
        if "--json" in given:
            click.echo(document_text({"error": message}))
        sys.exit(status)


def _usage(error: click.ClickException) -> str:
    """The complaint in one line, with where help is."""
    context = getattr(error, "ctx", None)
    where = f" ({context.command_path} --help)" if context is not None else ""
    return " ".join(error.format_message().split()) + where


def _in_words(error: Exception) -> str:
    """What an error says in one line; a KeyError would quote it, and some say nothing but their name."""
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    said = " ".join(said.split())
    if isinstance(error, (*_MISUSES, ImportError, OSError, MemoryError)) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _tell_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from .. import __version__

        click.echo(__version__)
        ctx.exit()


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    no_args_is_help=True,
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_tell_version, help="Show it.")
def atc() -> None:
    """Adaptive Trend Classification, bit for bit as TradingView computes it.

    Results are printed on stdout, progress on stderr. Every command takes --json, --quiet and --debug. Exit status: 0
    done, 1 failed, 2 wrong usage or input, 130 interrupted.
    """
