"""`python -m tracker FOLDER`: the tracker of a folder of `.torrent` files, and nothing else."""

import asyncio
import logging
import signal
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import click
from aiohttp import web

from tracker.server import attach


def listen_address(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    """Read ADDRESS:PORT; an IPv6 address stands in brackets."""
    host, _, port = value.rpartition(":")
    try:
        address, number = ip_address(host.removeprefix("[").removesuffix("]")), int(port)
    except ValueError:
        raise click.BadParameter(f"{value} is not like 0.0.0.0:6969 or [::]:6969") from None
    if not 0 <= number <= 65535:
        raise click.BadParameter(f"{number} is not a port")
    return str(address), number


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    callback=listen_address,
    default="0.0.0.0:6969",
    show_default=True,
    help="Where to listen; port 0 takes any free one.",
)
def main(folder: Path, listen: tuple[str, int]) -> None:
    """Track the .torrent files below FOLDER, and show who has them at http://ADDRESS:PORT/."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # It reports each batch of changes; the allow-list says what came of them.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(folder, *listen))
    except OSError as error:
        raise click.ClickException(str(error)) from error


async def _serve(folder: Path, host: str, port: int) -> None:
    app = web.Application()
    attach(app, folder)
    # No access log: a room announces all the time, and the tracker itself tells what changes.
    runner = web.AppRunner(app, access_log=None)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        shown = f"[{bound_host}]" if isinstance(ip_address(bound_host), IPv6Address) else bound_host
        click.echo(f"tracking {folder} on http://{shown}:{bound_port}/")
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
