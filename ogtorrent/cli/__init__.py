"""The `ogtorrent` command: one file a noun; the only wiring."""

from __future__ import annotations

import os
import sys

import click

from ogtorrent import __version__
from ogtorrent.errors import OgtorrentError
from ogtorrent.words import words

# Each command's module is imported when it is called: a seat starts in a moment, without aiohttp.
COMMANDS = {
    "cache": "ogtorrent.cli.cache:cache",
    "demo": "ogtorrent.cli.demo:demo",
    "env": "ogtorrent.cli.mount:env",
    "mount": "ogtorrent.cli.disks:mount",
    "opengnsys": "ogtorrent.cli.opengnsys:opengnsys",
    "overlay": "ogtorrent.cli.overlay:overlay",
    "publish": "ogtorrent.cli.publish:publish",
    "repo": "ogtorrent.cli.repo:repo",
    "serve": "ogtorrent.cli.serve:serve",
    "swarm": "ogtorrent.cli.swarm:swarm",
    "umount": "ogtorrent.cli.mount:umount",
    "update-cache": "ogtorrent.cli.update_cache:update_cache",
}


class _Commands(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(__import__(module, fromlist=[attribute]), attribute)
        assert isinstance(command, click.Command)
        _in_words(command)
        return command


def _in_words(command: click.Command) -> None:
    """What click writes into each usage line and does not look up."""
    if isinstance(command, click.Group):
        command.subcommand_metavar = words("COMMAND [ARGS]...")
        for one in command.commands.values():
            _in_words(one)
    command.options_metavar = words("[OPTIONS]")


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=words("Fills a classroom of PCs with a disk image, by a swarm of their own caches."),
)
@click.version_option(__version__, prog_name="ogtorrent")
def cli() -> None:
    pass


_in_words(cli)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with OpenGnsys's exit code."""
    try:
        cli.main(arguments, prog_name="ogtorrent", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(1)  # OG_ERR_FORMAT; click's own 2 would say "not found"
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("ogtorrent: " + words("interrupted"), err=True)
        sys.exit(130)
    except OgtorrentError as error:
        click.echo(f"ogtorrent: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("OGTORRENT_TRACEBACK"):
            raise
        click.echo(
            "ogtorrent: "
            + words(
                "unforeseen: {error}. This is a defect of ogtorrent; "
                "set OGTORRENT_TRACEBACK=1, run it again and report what it prints.",
                error=f"{type(error).__name__}: {error}",
            ),
            err=True,
        )
        sys.exit(OgtorrentError.exit_code)
