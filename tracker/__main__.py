"""`python -m tracker FOLDER`: the tracker of a folder of `.torrent` files, and nothing else."""

import asyncio
import logging
import os
import signal
import socket
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import click
from aiohttp import web

from tracker import access, server
from tracker.look import page
from tracker.networks import PRIVATE, IPNetwork, Networks
from tracker.swarm.store import Store
from tracker.words import language

words = page.words_in(language(os.environ))

_LINGER = 0.5  # seconds that open HTTP connections get at the end


def listen_address(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    """Read ADDRESS:PORT; an IPv6 address stands in brackets."""
    host, _, port = value.rpartition(":")
    try:
        address, number = ip_address(host.removeprefix("[").removesuffix("]")), int(port)
    except ValueError:
        raise click.BadParameter(
            words("{address} is not like 0.0.0.0:6969 or [::]:6969", address=value)
        ) from None
    if not 0 <= number <= 65535:
        raise click.BadParameter(words("{number} is not a port", number=number))
    return str(address), number


def network(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[IPNetwork]:
    """Read networks: 10.1.0.0/16, 10.1.2.3 or fd00::/64."""
    try:
        return [ip_network(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(
            words("{error}; a network is like 10.1.0.0/16 or fd00::/64", error=error)
        ) from None


def named_network(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[IPNetwork, str]:
    """Read rooms: aula1=10.1.1.0/24, or a network alone, which is then its name."""
    pairs = [(name, text) for name, _, text in (value.rpartition("=") for value in values)]
    networks = network(context, parameter, tuple(text for _, text in pairs))
    return {one: name or str(one) for one, (name, _) in zip(networks, pairs, strict=True)}


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    help=words("Track the .torrent files below FOLDER, and show who has them at http://ADDRESS:PORT/."),
)
@click.argument(
    "folder", metavar=words("FOLDER"), type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--listen",
    metavar=words("ADDRESS:PORT"),
    callback=listen_address,
    default="0.0.0.0:6969",
    show_default=True,
    help=words("Where to listen, by TCP and UDP; port 0 takes any free one, [::] is IPv6 and IPv4."),
)
@click.option(
    "--allow",
    metavar=words("NETWORK"),
    multiple=True,
    callback=network,
    help=words(
        "A network that may announce, such as 158.42.0.0/16; may be repeated. By default the private, "
        "link-local and loopback ones, which are not meant where this is given."
    ),
)
@click.option(
    "--trust-proxy",
    metavar=words("NETWORK"),
    multiple=True,
    callback=network,
    help=words("A proxy whose X-Forwarded-For, or ip=, says who is announcing; may be repeated."),
)
@click.option(
    "--room",
    metavar=words("[NAME=]NETWORK"),
    multiple=True,
    callback=named_network,
    help=words(
        "A network whose PCs sit together, such as aula1=10.1.1.0/24; may be repeated. By default each /24 "
        "of IPv4, each /64 of IPv6."
    ),
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help=words(
        "Where downloads are counted and deployments kept over restarts [default: FOLDER/{file}].",
        file=server.STATE_FILE,
    ),
)
@click.option(
    "--store",
    "url",
    metavar="URL",
    help=words(
        "Keep the swarms in Valkey or Redis, such as valkey://10.1.0.5:6379/0, for several trackers to share."
    ),
)
@click.option(
    "--access-log",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    help=words("A line for each request goes there; - is standard error."),
)
def main(
    folder: Path,
    listen: tuple[str, int],
    allow: list[IPNetwork],
    trust_proxy: list[IPNetwork],
    room: dict[IPNetwork, str],
    state: Path | None,
    url: str | None,
    access_log: Path | None,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # It reports each batch of changes; the allow-list says what came of them.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    if url is not None and state is not None:
        raise click.UsageError(
            words("--state is for swarms in memory; with --store, the counts are there too")
        )
    networks = Networks(allow or PRIVATE, trust_proxy, room)
    try:
        if access_log is not None:
            access.record_every_request(access_log)
        store = server.open_store(folder, networks, state=state, url=url)
        history = server.open_history(folder, state)
        tcp, udp = server.bind(*listen)
        with tcp, udp:
            asyncio.run(_serve(folder, tcp, udp, networks, store, history))
    except (OSError, server.StoreError) as error:
        raise click.ClickException(str(error)) from error


async def _serve(
    folder: Path,
    tcp: socket.socket,
    udp: socket.socket,
    networks: Networks,
    store: Store,
    history: server.History,
) -> None:
    app = web.Application()
    tracker = server.attach(app, folder, networks=networks, store=store, history=history)
    # aiohttp's own access log tells of requests; ours tells of seats.
    runner = server.Runner(app, access_log=None, shutdown_timeout=_LINGER)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        async with server.serving(runner, tracker, tcp, udp):
            host, port = tcp.getsockname()[:2]
            shown = f"[{host}]" if isinstance(ip_address(host), IPv6Address) else host
            url = f"http://{shown}:{port}/"
            click.echo(words("tracking {folder} by HTTP and UDP at {url}", folder=folder, url=url))
            await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
