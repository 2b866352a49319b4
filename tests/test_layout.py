"""Every place that seeds/DirsRepositorio.txt names: which tree it is, and where a cache mirrors it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import environment

from ogtorrent.errors import BadName, UnknownRoot
from ogtorrent.layout import (
    ImagePath,
    Layout,
    Mirror,
    Root,
    Sidecar,
    cache_root,
    cache_roots,
    enclosing,
    recognise,
)

# The folders of a server below its `/`, and the one that the administrator names:
#     which layout it is, where its images stand, where aula1/windows.img stands on a PC.
PLACES = {
    ("opt/opengnsys/repo/images", "opt/opengnsys/repo"): (
        "current",
        "opt/opengnsys/repo/images",
        "$CACHE/opt/opengnsys/repo/images/aula1/windows.img",
    ),
    ("opt/opengnsys/repo/images", "opt/opengnsys/repo/images"): (
        "current",
        "opt/opengnsys/repo/images",
        "$CACHE/opt/opengnsys/repo/images/aula1/windows.img",
    ),
    ("opt/opengnsys/repo/images", "opt/opengnsys"): (
        "current",
        "opt/opengnsys/repo/images",
        "$CACHE/opt/opengnsys/repo/images/aula1/windows.img",
    ),
    ("mnt/repo/images mnt/repo/groups", "mnt/repo"): (
        "current",
        "mnt/repo/images",
        "$CACHE/opt/opengnsys/repo/images/aula1/windows.img",
    ),
    ("mnt/repo/images mnt/repo/clients", "mnt/repo"): (
        "current",
        "mnt/repo/images",
        "$CACHE/opt/opengnsys/repo/images/aula1/windows.img",
    ),
    ("opt/opengnsys/images", "opt/opengnsys/images"): (
        "legacy",
        "opt/opengnsys/images",
        "$CACHE/opt/opengnsys/images/aula1/windows.img",
    ),
    ("opt/opengnsys/images", "opt/opengnsys"): (
        "legacy",
        "opt/opengnsys/images",
        "$CACHE/opt/opengnsys/images/aula1/windows.img",
    ),
    ("mnt/sda3/opt/opengnsys/images", "mnt/sda3/opt/opengnsys/images"): (
        "legacy",
        "mnt/sda3/opt/opengnsys/images",
        "$CACHE/opt/opengnsys/images/aula1/windows.img",
    ),
    ("opt/opengnsys/images opt/opengnsys/repo/images", "opt/opengnsys"): (
        "current",
        "opt/opengnsys/repo/images",
        "$CACHE/opt/opengnsys/repo/images/aula1/windows.img",
    ),
    ("opt/opengnsys/images opt/opengnsys/repo/images", "opt/opengnsys/images"): (
        "legacy",
        "opt/opengnsys/images",
        "$CACHE/opt/opengnsys/images/aula1/windows.img",
    ),
    ("var/opt/eac/hdimages", "var/opt/eac/hdimages"): (
        "eac",
        "var/opt/eac/hdimages",
        "$CACHE/var/opt/eac/hdimages/aula1/windows.img",
    ),
    ("var/opt/eac/hdimages", "var/opt/eac"): (
        "eac",
        "var/opt/eac/hdimages",
        "$CACHE/var/opt/eac/hdimages/aula1/windows.img",
    ),
    ("mnt/USB-7", "mnt/USB-7"): ("bare", "mnt/USB-7", "$CACHE/USB-7/aula1/windows.img"),
    ("mnt/DVD-7", "mnt/DVD-7"): ("bare", "mnt/DVD-7", "$CACHE/DVD-7/aula1/windows.img"),
    ("srv/images", "srv/images"): ("bare", "srv/images", "$CACHE/images/aula1/windows.img"),
    ("srv/imágenes", "srv/imágenes"): ("bare", "srv/imágenes", "$CACHE/imágenes/aula1/windows.img"),
}


@pytest.mark.parametrize(("folders", "named"), PLACES)
def test_a_tree_is_recognised_and_mirrored(tmp_path: Path, folders: str, named: str) -> None:
    for folder in folders.split():
        (tmp_path / folder).mkdir(parents=True)
    found = recognise(tmp_path / named)
    windows = ImagePath.of("aula1", "windows.img")
    mirrored = cache_root(Path("$CACHE"), found.mirror).image(windows)
    assert (found.mirror.layout, found.path, str(mirrored)) == (
        PLACES[folders, named][0],
        tmp_path / PLACES[folders, named][1],
        PLACES[folders, named][2],
    )
    assert found.image(windows) == found.path / "aula1" / "windows.img"


@pytest.mark.parametrize(
    ("layout", "path", "mirrored"),
    [
        (Layout.CURRENT, "data", "$CACHE/opt/opengnsys/repo/images/w.img"),
        (Layout.LEGACY, "data", "$CACHE/opt/opengnsys/images/w.img"),
        (Layout.LEGACY, "opt/opengnsys/images/10.0.0.1", "$CACHE/opt/opengnsys/images/w.img"),
        (Layout.EAC, "package/data", "$CACHE/var/opt/package/hdimages/w.img"),
        (Layout.BARE, "opt/opengnsys/images", "$CACHE/images/w.img"),
    ],
)
def test_a_layout_that_is_named_overrides_what_the_path_says(
    tmp_path: Path, layout: Layout, path: str, mirrored: str
) -> None:
    (tmp_path / path).mkdir(parents=True)
    found = recognise(tmp_path / path, layout)
    assert found.path == tmp_path / path
    assert str(cache_root(Path("$CACHE"), found.mirror).image(ImagePath.parse("w.img"))) == mirrored


def test_a_named_layout_also_finds_its_root_below(tmp_path: Path) -> None:
    (tmp_path / "eac" / "hdimages").mkdir(parents=True)
    (tmp_path / "disk" / "images").mkdir(parents=True)
    assert recognise(tmp_path / "eac", Layout.EAC).path == tmp_path / "eac" / "hdimages"
    assert recognise(tmp_path / "disk", Layout.LEGACY).path == tmp_path / "disk" / "images"


def test_what_is_no_folder_or_has_no_usable_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing", tmp_path / "file", tmp_path / ".hidden", Path("/")):
        with pytest.raises(UnknownRoot):
            recognise(path)


@pytest.mark.parametrize(
    ("image", "root"),
    [
        ("opt/opengnsys/repo/images/aula1/w.img", "opt/opengnsys/repo/images"),
        ("opt/opengnsys/images/aula1/w.img", "opt/opengnsys/images"),
        ("var/opt/eac/hdimages/aula1/w.img", "var/opt/eac/hdimages"),
        ("srv/images/aula1/w.img", "srv/images/aula1"),
    ],
)
def test_an_image_is_found_in_the_tree_that_encloses_it(tmp_path: Path, image: str, root: str) -> None:
    (tmp_path / image).parent.mkdir(parents=True)
    assert enclosing(tmp_path / image).path == tmp_path / root


def test_sidecars_stand_beside_their_image_also_of_a_directory_image() -> None:
    root = Root(Path("/srv/images"), recognise(Path("/usr")).mirror)
    for name in ("windows.img", "clonezilla"):
        image = ImagePath.of("/aula1/", name)
        assert [str(root.sidecar(image, kind)) for kind in Sidecar] == [
            f"/srv/images/aula1/{name}{ending}"
            for ending in (".torrent", ".sum", ".full.sum", ".lock", ".mcast", ".info")
        ]
        partial = root.partial(image)
        assert partial.parent == Path("/srv/images/aula1") and partial.name.startswith(".")


def tree(root: Path, files: str) -> None:
    for name in files.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_are_found_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, "windows.img aula1/linux.pgz aula1/old.diff aula2/planta3/disk.dsk iso/debian.iso")
    tree(
        tmp_path,
        "windows.img.torrent windows.img.sum windows.img.full.sum windows.img.mcast windows.img.lock",
    )
    tree(tmp_path, ".windows.img.part .hidden/secret.img lost+found/found.img aula1/copying.img.part")
    tree(tmp_path, "x.img.crdownload x.img.aria2 x.img.filepart x.img~ x.img.tmp")
    tree(tmp_path, "clonezilla/clonezilla-img clonezilla/sda1.img clonezilla/parts/sda2.img")
    tree(tmp_path, "directory.img/1 aula1/published/1 aula1/published.torrent not.sum/1.img")
    (tmp_path / "linked").symlink_to(tmp_path / "aula1")
    assert [str(image) for image in recognise(tmp_path).images()] == [
        "clonezilla",
        "directory.img",
        "windows.img",
        "aula1/linux.pgz",
        "aula1/old.diff",
        "aula1/published",
        "aula2/planta3/disk.dsk",
        "iso/debian.iso",
        "not.sum/1.img",
    ]


def test_a_tree_of_opengnsys_holds_only_what_opengnsys_calls_an_image(tmp_path: Path) -> None:
    images = tmp_path / "opt/opengnsys/images"
    tree(images, "windows.img notes.txt aula1/linux.pgz aula1/debian.iso")
    assert [str(image) for image in recognise(images).images()] == ["windows.img", "aula1/linux.pgz"]


def test_a_cache_knows_the_trees_that_it_holds(tmp_path: Path) -> None:
    trees = "opt/opengnsys/repo/images opt/opengnsys/images var/opt/eac/hdimages images USB-7 .ogtorrent"
    for folder in trees.split():
        (tmp_path / folder).mkdir(parents=True)
    found = {
        (str(root.mirror.layout), str(root.path.relative_to(tmp_path))) for root in cache_roots(tmp_path)
    }
    assert found == {
        ("current", "opt/opengnsys/repo/images"),
        ("legacy", "opt/opengnsys/images"),
        ("eac", "var/opt/eac/hdimages"),
        ("bare", "images"),
        ("bare", "USB-7"),
    }


NAMES = st.text(max_size=40) | st.lists(
    st.sampled_from(["..", ".", "", "/", "\\", "a", "windows.img", ".torrent", "\0", "\ud800", "ñ" * 130]),
    max_size=8,
).map("/".join)


@given(subdirectory=NAMES, image=NAMES)
def test_any_text_is_refused_or_names_a_path_inside_the_root(subdirectory: str, image: str) -> None:
    root = recognise(Path("/usr"))
    try:
        path = ImagePath.of(subdirectory, image)
    except BadName as error:
        assert str(error).isprintable()
        return
    place = root.image(path)
    for named in (place, root.partial(path), *(root.sidecar(path, kind) for kind in Sidecar)):
        assert Path(os.path.normpath(named)) == named
        assert named.is_relative_to(root.path) and named != root.path
        assert len(os.fsencode(named.name)) <= 255
    assert root.locate(place) == path
    assert ImagePath.parse(str(path)) == path
    assert root.image_of_torrent(root.sidecar(path, Sidecar.TORRENT)) == path


@pytest.mark.parametrize(
    ("subdirectory", "image"),
    [
        ("..", "w.img"),
        ("aula1/../..", "w.img"),
        ("/", "../w.img"),
        ("/", "/etc/passwd"),
        ("/", ""),
        ("/", "aula1/"),
        ("/", "w.img.torrent"),
        ("/", "w.img.sum"),
        (".hidden", "w.img"),
        ("/", "."),
        ("/", "a\nb"),
        ("a\\b", "w.img"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(subdirectory: str, image: str) -> None:
    with pytest.raises(BadName):
        ImagePath.of(subdirectory, image)


def test_a_name_of_one_component_never_holds_a_slash() -> None:
    for name in ("a/b", "../a", "/"):
        with pytest.raises(BadName):
            ImagePath((name,))
        with pytest.raises(BadName):
            Mirror(Layout.BARE, name)
        with pytest.raises(BadName):
            Mirror(Layout.EAC, "hdimages", name)


def test_the_longest_name_leaves_room_for_every_sidecar(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        ImagePath.of("/", "ñ" * 115 + "x")
    root, longest = recognise(tmp_path), ImagePath.of("/", "ñ" * 115)
    for named in (root.partial(longest), *(root.sidecar(longest, kind) for kind in Sidecar)):
        named.with_name(f".{named.name}.{2**22}.tmp").touch()  # as it is written aside; ext4 takes 255 bytes


def test_a_path_outside_the_root_is_no_image_of_it(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        recognise(tmp_path).locate(tmp_path.parent / "w.img")


@pytest.mark.room
@pytest.mark.root
@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (
            "/opt/opengnsys/repo/images /opt/opengnsys/images /var/opt/eac/hdimages",
            "/opt/opengnsys/repo/images",
        ),
        ("/opt/opengnsys/images /var/opt/eac/hdimages", "/opt/opengnsys/images"),
        ("/var/opt/eac/hdimages", "/var/opt/eac/hdimages"),
        ("", "UnknownRoot: "),
    ],
)
def test_without_a_root_the_tree_of_this_machine_is_taken(folders: str, found: str) -> None:
    program = "from ogtorrent.layout import default_root; print(default_root().path)"
    script = (
        "mount -t tmpfs none /opt && mount -t tmpfs none /var/opt && "
        'for folder in $1; do mkdir -p $folder; done; "$2" -c "$3" 2>&1'
    )
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", folders, sys.executable, program],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert found in ran.stdout.splitlines()[-1], ran.stderr
