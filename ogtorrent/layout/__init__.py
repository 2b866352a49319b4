"""Where every image, sidecar, overlay and partial download lives: the only joiner of paths.

Three OpenGnsys trees and the bare folder, on the repository and, mirrored, on a cache:

    layout    image root on the repository        the same root on a cache
    current   /opt/opengnsys/repo/images          $CACHE/opt/opengnsys/repo/images
    legacy    /opt/opengnsys/images               $CACHE/opt/opengnsys/images
    eac       /var/opt/PACKAGE/hdimages           $CACHE/var/opt/PACKAGE/hdimages
    bare      any folder, say /srv/images         $CACHE/images

The current layout has two more roots beside its images, `groups` and `clients`: what is laid over
GROUP/IMAGE or CLIENT/IMAGE is an image there, a directory.
"""

from ogtorrent.layout.aliases import CACHE, REPO, Here, Place, made_to_mount
from ogtorrent.layout.cache import (
    aside_root,
    cache_root,
    cache_roots,
    feeder_lock,
    feeder_locks,
    name_in,
    offline_home,
    overlay_roots,
    records_file,
    seeder_home,
    seeder_place,
)
from ogtorrent.layout.disks import mounted_disk, on_disk
from ogtorrent.layout.names import MANIFEST, ImagePath, Sidecar, checked_component
from ogtorrent.layout.root import Layer, Layout, Mirror, Root
from ogtorrent.layout.trees import Tree, default_root, enclosing, expected, planned, recognise

__all__ = [
    "CACHE",
    "MANIFEST",
    "REPO",
    "Here",
    "ImagePath",
    "Layer",
    "Layout",
    "Mirror",
    "Place",
    "Root",
    "Sidecar",
    "Tree",
    "aside_root",
    "cache_root",
    "cache_roots",
    "checked_component",
    "default_root",
    "enclosing",
    "expected",
    "feeder_lock",
    "feeder_locks",
    "made_to_mount",
    "mounted_disk",
    "name_in",
    "offline_home",
    "on_disk",
    "overlay_roots",
    "planned",
    "recognise",
    "records_file",
    "seeder_home",
    "seeder_place",
]
