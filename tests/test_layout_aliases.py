"""Every alias of the wiki page, in both directions: place and image to path, path to place and image."""

from dataclasses import replace
from pathlib import Path
from string import Template

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ogtorrent.errors import BadAddress, BadName, NoCache
from ogtorrent.layout import Here, ImagePath, Layout, Mirror, Root

SERVER, OWN, NAS = "10.1.0.1", "10.1.1.5", "158.42.9.9"
WINDOWS = ImagePath.parse("aula1/windows.img")
LEGACY = Root(Path("/opt/opengnsys/images"), Mirror(Layout.LEGACY, "images"))
CURRENT = Root(Path("/opt/opengnsys/repo/images"), Mirror(Layout.CURRENT, "images"))
EAC = Root(Path("/var/opt/eac/hdimages"), Mirror(Layout.EAC, "hdimages", "eac"))
BARE = Root(Path("/srv/images"), Mirror(Layout.BARE, "images"))
OF = {"legacy": LEGACY, "current": CURRENT, "eac": EAC, "bare": BARE}
# A PC whose partition CACHE is sda3, in each layout; and the server itself.
PC = {
    name: Here(root, Path("/mnt/sda3"), frozenset({OWN, "fd00::5", "127.0.0.1"}), SERVER)
    for name, root in OF.items()
}
AT_THE_SERVER = {name: Here(root, None, frozenset({SERVER, "fd00::1"}), SERVER) for name, root in OF.items()}

MOUNTED = "/opt/opengnsys/images"
# A sentence of the page: the machine, what one calls the place, what it is, where its images stand first.
PAGE = {
    # "/opt/opengnsys/repo - punto de montaje principal (sustituye a /opt/opengnsys/images)"
    "main mount point": ("current", "REPO", "REPO", "/opt/opengnsys/repo/images"),
    "main mount point, in lower case": ("current", "repo", "REPO", "/opt/opengnsys/repo/images"),
    # "La conexión con las imágenes con el repositorio Opengnsys en /opt/opengnsys/images/$IP,
    #  donde $IP hace referencia a REPO, repo, es decir la propia ip del servidor"
    "the server as REPO": ("legacy", "REPO", "REPO", f"{MOUNTED}/{SERVER}"),
    "the server as repo": ("legacy", "repo", "REPO", f"{MOUNTED}/{SERVER}"),
    "MountRepo($IPservidor)": ("legacy", SERVER, "REPO", f"{MOUNTED}/{SERVER}"),
    "at the server, its own address": ("legacy server", SERVER, "REPO", MOUNTED),
    "at the server, its other address": ("legacy server", "fd00::1", "REPO", MOUNTED),
    "at a server of the current layout": ("current server", "REPO", "REPO", "/opt/opengnsys/repo/images"),
    # "La partición cache se montará en el cliente en /opt/opengnsys/images/$IP,
    #  donde $IP hace referencia a localhost, cache, CACHE, y su propia ip o a la de loopback"
    "localhost": ("legacy", "localhost", "CACHE", "$CACHE/opt/opengnsys/images"),
    "cache": ("legacy", "cache", "CACHE", "$CACHE/opt/opengnsys/images"),
    "CACHE": ("legacy", "CACHE", "CACHE", "$CACHE/opt/opengnsys/images"),
    "su propia ip": ("legacy", OWN, "CACHE", "$CACHE/opt/opengnsys/images"),
    "su propia ip, IPv6": ("legacy", "fd00:0::5", "CACHE", "$CACHE/opt/opengnsys/images"),
    "su propia ip, IPv4 as IPv6": ("legacy", f"::ffff:{OWN}", "CACHE", "$CACHE/opt/opengnsys/images"),
    "su propia ip, IPv6, con su interfaz": ("legacy", "fd00::5%eth0", "CACHE", "$CACHE/opt/opengnsys/images"),
    "la de loopback": ("legacy", "127.0.0.1", "CACHE", "$CACHE/opt/opengnsys/images"),
    "otra de loopback": ("legacy", "127.8.8.8", "CACHE", "$CACHE/opt/opengnsys/images"),
    "la de loopback, IPv6": ("legacy", "::1", "CACHE", "$CACHE/opt/opengnsys/images"),
    # "El acceso a una imagen en el repositorio local (cache) es $CACHE$REPOMAN subdirectorio/imagen"
    "$CACHE$REPOMAN, current": ("current", "CACHE", "CACHE", "$CACHE/opt/opengnsys/repo/images"),
    # "repositorios externos: /opt/opengnsys/images/$IP, la ip del servidor repositorio no opengnsys";
    # "cache de cliente remoto o servidor alterno => MountRepo(host) -> /opt/opengnsys/images/$IPhostremoto"
    "a NAS": ("legacy", NAS, NAS, f"{MOUNTED}/{NAS}"),
    "a NAS, at the server": ("legacy server", NAS, NAS, f"{MOUNTED}/{NAS}"),
    "another PC's cache, IPv6": ("legacy", "fd00::0:9", "fd00::9", f"{MOUNTED}/fd00::9"),
    "a NAS, current": ("current", NAS, NAS, f"{MOUNTED}/{NAS}"),
    "a NAS, eac": ("eac", NAS, NAS, f"{MOUNTED}/{NAS}"),
    "a NAS, bare": ("bare", NAS, NAS, f"{MOUNTED}/{NAS}"),
    # "Repositorios móviles, usb, dvd: /mnt/$DVD-$id, /mnt/$USB-$id"
    "a DVD": ("legacy", "DVD-7", "DVD-7", "/mnt/DVD-7"),
    "a USB disk": ("current", "USB-Backup 2", "USB-Backup 2", "/mnt/USB-Backup 2"),
    # "EAC: $REPO subdirectorio/imagen; $CACHE$REPO subdirectorio/imagen"
    "EAC's $REPO": ("eac", "REPO", "REPO", "$REPO"),
    "EAC's $CACHE$REPO": ("eac", "CACHE", "CACHE", "$CACHE$REPO"),
    # A folder of images that knows nothing of OpenGnsys
    "a bare folder": ("bare server", "REPO", "REPO", "/srv/images"),
    "a bare folder's cache": ("bare", "CACHE", "CACHE", "$CACHE/images"),
}
EXPORTED = {"CACHE": "/mnt/sda3", "REPO": "/var/opt/eac/hdimages"}


def machine(name: str) -> Here:
    layout, _, server = name.partition(" ")
    return (AT_THE_SERVER if server else PC)[layout]


@pytest.mark.parametrize("sentence", PAGE)
def test_an_alias_means_a_place_and_its_images_stand_there(sentence: str) -> None:
    name, alias, place, root = PAGE[sentence]
    here = machine(name)
    assert str(here.place(alias)) == place
    path = Path(Template(root).substitute(EXPORTED), "aula1/windows.img")
    assert here.paths(here.place(alias), WINDOWS)[0] == path
    assert here.locate(path) == (here.place(alias), WINDOWS)


# Where the same image is also seen: the machine, the path, the place.
ALSO = [
    ("legacy", f"{MOUNTED}/REPO", "REPO"),
    ("legacy", f"{MOUNTED}/repo", "REPO"),
    ("legacy", MOUNTED, "REPO"),
    ("legacy server", f"{MOUNTED}/{SERVER}", "REPO"),
    ("current", MOUNTED, "REPO"),
    ("legacy", f"{MOUNTED}/localhost", "CACHE"),
    ("legacy", f"{MOUNTED}/cache", "CACHE"),
    ("legacy", f"{MOUNTED}/CACHE", "CACHE"),
    ("legacy", f"{MOUNTED}/{OWN}", "CACHE"),
    ("legacy", f"{MOUNTED}/fd00::5", "CACHE"),
    ("legacy", f"{MOUNTED}/127.0.0.1", "CACHE"),
    ("legacy", f"{MOUNTED}/::1", "CACHE"),
    ("legacy", "/opt/opengnsys/cache/opt/opengnsys/images", "CACHE"),
    # "Modificación de MountCache para que monte el raíz (/) también en /mnt/$IP"
    ("legacy", f"/mnt/{OWN}/opt/opengnsys/images", "CACHE"),
    ("current", f"/mnt/{OWN}/opt/opengnsys/repo/images", "CACHE"),
    ("eac", f"/mnt/{OWN}/var/opt/eac/hdimages", "CACHE"),
    ("current", "/opt/opengnsys/cache/opt/opengnsys/repo/images", "CACHE"),
]


@pytest.mark.parametrize(("name", "root", "place"), ALSO)
def test_an_image_is_seen_under_other_paths_too(name: str, root: str, place: str) -> None:
    here, path = machine(name), Path(root, "aula1/windows.img")
    assert here.locate(path) == (here.place(place), WINDOWS)
    assert path in here.paths(here.place(place), WINDOWS)


@pytest.mark.parametrize(
    "alias", ["", "Repo", "aula1", "10.1.1", "0.0.0.0", "USB-", "DVD-../x", "USB-a/b", "::"]
)
def test_what_is_no_place_is_refused(alias: str) -> None:
    with pytest.raises(BadAddress):
        PC["legacy"].place(alias)


@pytest.mark.parametrize(
    "path",
    [
        "/opt/opengnsys/images",
        "/opt/opengnsys/images/REPO",
        "/opt/opengnsys/images/../images/w.img",
        "/mnt/sda3/w.img",
        "/mnt/10.9.9.9/opt/opengnsys/images/w.img",
        "/mnt/CACHE/w.img",
        "/opt/opengnsys/images/USB-7/w.img.sum",
        "/srv/w.img",
        "relative/w.img",
    ],
)
def test_a_path_to_no_image_is_refused(path: str) -> None:
    with pytest.raises(BadName):
        PC["legacy"].locate(Path(path))


def test_a_machine_without_a_cache_has_none() -> None:
    with pytest.raises(NoCache):
        AT_THE_SERVER["legacy"].paths(AT_THE_SERVER["legacy"].place("CACHE"), WINDOWS)


def test_a_folder_with_the_name_of_a_place_is_not_taken_for_one() -> None:
    """In the legacy tree they would be one path."""
    server, image = AT_THE_SERVER["legacy"], ImagePath.parse("cache/w.img")
    paths = server.paths(server.place("REPO"), image)
    assert all(server.locate(path) == (server.place("REPO"), image) for path in paths)
    assert Path(MOUNTED, "cache/w.img") not in paths


NAMES = st.sampled_from(["aula1", "REPO", "cache", "10.1.1.5", "USB-1", "images", "groups", "ñ", "w.img"])
IMAGES = st.lists(NAMES | st.text(min_size=1, max_size=12), min_size=1, max_size=4)
ADDRESSES = st.ip_addresses().map(str)
ALIASES = st.sampled_from(["REPO", "cache", "localhost", SERVER, OWN, NAS, "USB-1", "DVD-ñ"]) | ADDRESSES


@given(
    layout=st.sampled_from(sorted(OF)),
    alias=ALIASES,
    parts=IMAGES,
    own=st.frozensets(ADDRESSES, max_size=3),
    server=ADDRESSES | st.just(""),
)
def test_every_path_of_an_image_leads_back_to_it(
    layout: str, alias: str, parts: list[str], own: frozenset[str], server: str
) -> None:
    here = replace(PC[layout], own=own, server=server)
    try:
        image, place = ImagePath(tuple(parts)), here.place(alias)
    except (BadName, BadAddress):
        assume(False)
        raise
    assert here.place(str(place)) == place
    try:
        paths = here.paths(place, image)
    except BadName:
        return  # in no tree is it seen otherwise than as an image of another place
    assert paths and all(here.locate(path) == (place, image) for path in paths)


@given(
    layout=st.sampled_from(sorted(OF)), path=st.text(max_size=30), top=st.sampled_from(["", MOUNTED, "/mnt"])
)
def test_any_path_is_refused_or_is_one_of_its_images(layout: str, path: str, top: str) -> None:
    here = PC[layout]
    try:
        place, image = here.locate(Path(top, path))
    except BadName:
        return
    assert image == here.locate(here.paths(place, image)[0])[1]
