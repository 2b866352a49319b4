"""One tree of errors; each knows its facts, its words and its OpenGnsys exit code.

    OgtorrentError                40  unforeseen
    |- BadName                     1  a name, session string or argument of the wrong form
    |- BadOptions                  1
    |- BadAddress                  1  an address, port or network of the wrong form
    |- BadSettings                 1  a settings file that sets what there is not, or wrongly
    |- BadMirror                   1  neither a server's URL nor a folder
    |- UnfitToken                  1  it, or its file, cannot guard the repository
    |- BadCredentials              1  a file of them that cannot be used
    |- UnfitEntry                  1  a group or client that cannot be one
    |- EntryConflict               1  a group or client that cannot be beside the others
    |- UnfitInventory              1  the inventory's file is damaged
    |- AnotherTree                 1  a folder that is not what a tree is to be made of
    |- AmbiguousImage              1  it stands in several trees of the cache
    |- UnknownEntry                2  no such group or client
    |- UnknownImage                2  not in the repository
    |- UnknownRoot                 2  no folder of images there
    |- NotOnDisk                   2  no such image there
    |- NotInCache                  2  no such image, or no previous version of it
    |- NoLiveSystem                2  no kernel, initrd and root to boot the cache with
    |- NoOpenGnsys                 2  none of its commands there
    |- OriginalLost                2  of a command of OpenGnsys
    |- NoBootPlace                 3  the disk has no room for a boot loader
    |- NoTarget                    3  no file system there to lay something over
    |- NoDisk                      3  no partition, USB disk or DVD there to be mounted
    |- ImageLocked                 4  somebody writes it
    |- ImagePinned                 4  its owner keeps it
    |- AnothersBootLoader          4  the disk starts another system
    |- OfflineLocked               4  somebody else makes the cache bootable
    |- MountBusy                   4  it cannot be unmounted, somebody uses it
    |- UnfitImage                  5  cannot be published
    |- MissingProgram              7  another package's, which this work needs
    |- NotWritable                14
    |- NotLaid                    14  an overlay, or a part of it
    |- NoCache                    15  no partition labelled CACHE, or no such directory
    |- CacheFull                  16  too small or full
    |- DiskGone                   23  pulled out while it was used
    |- RepositoryUnreachable      23  no answer
    |- NotARepository             23  an answer, but not one of ours
    |- NotMountable               23  another machine's repository
    |  |- NoCredentials           23
    |  |- DiskNotMountable         3
    |  `- CacheNotMountable       21
    |- UpdateFailed               31
    |  |- OverlayFailed           31  the image stands, what is laid over it does not
    |  `- HostileMetainfo         31
    |- MirrorFailed               31  an image of a `--mirror`
    |- CorruptImage               33
    |- BadSession                 55  a multicast session string of the wrong form
    |- MulticastSend              56  the server's sender failed
    |- MulticastReceive           57  this PC's receiver failed
    `- CannotJoin                 60  the swarm, the tracker, the port or the session

The codes are those of OpenGnsys (`/opt/opengnsys/lib/engine/bin/*.lib`, OG_ERR_*).
Every message is one sentence that says what was wrong and one that says what to do.
"""

from ogtorrent.errors.disks import (
    CacheFull,
    DiskGone,
    NoCache,
    NoTarget,
    NotLaid,
    NotOnDisk,
    NotWritable,
)
from ogtorrent.errors.forms import (
    BadAddress,
    BadMirror,
    BadName,
    BadOptions,
    BadSession,
    BadSettings,
    UnfitToken,
)
from ogtorrent.errors.images import (
    AmbiguousImage,
    AnotherTree,
    CorruptImage,
    HostileMetainfo,
    ImageLocked,
    ImagePinned,
    MirrorFailed,
    NotInCache,
    OverlayFailed,
    UnfitImage,
    UnknownImage,
    UnknownRoot,
    UpdateFailed,
)
from ogtorrent.errors.inventory import EntryConflict, UnfitEntry, UnfitInventory, UnknownEntry
from ogtorrent.errors.mounts import (
    BadCredentials,
    CacheNotMountable,
    DiskNotMountable,
    MountBusy,
    NoCredentials,
    NoDisk,
    NotMountable,
)
from ogtorrent.errors.network import (
    CannotJoin,
    MissingProgram,
    MulticastReceive,
    MulticastSend,
    NotARepository,
    RepositoryUnreachable,
)
from ogtorrent.errors.offline import AnothersBootLoader, NoBootPlace, NoLiveSystem, OfflineLocked
from ogtorrent.errors.opengnsys import NoOpenGnsys, OriginalLost
from ogtorrent.errors.root import OgtorrentError

__all__ = [
    "AmbiguousImage",
    "AnotherTree",
    "AnothersBootLoader",
    "BadAddress",
    "BadCredentials",
    "BadMirror",
    "BadName",
    "BadOptions",
    "BadSession",
    "BadSettings",
    "CacheFull",
    "CacheNotMountable",
    "CannotJoin",
    "CorruptImage",
    "DiskGone",
    "DiskNotMountable",
    "EntryConflict",
    "HostileMetainfo",
    "ImageLocked",
    "ImagePinned",
    "MirrorFailed",
    "MissingProgram",
    "MountBusy",
    "MulticastReceive",
    "MulticastSend",
    "NoBootPlace",
    "NoCache",
    "NoCredentials",
    "NoDisk",
    "NoLiveSystem",
    "NoOpenGnsys",
    "NoTarget",
    "NotARepository",
    "NotInCache",
    "NotLaid",
    "NotMountable",
    "NotOnDisk",
    "NotWritable",
    "OfflineLocked",
    "OgtorrentError",
    "OriginalLost",
    "OverlayFailed",
    "RepositoryUnreachable",
    "UnfitEntry",
    "UnfitImage",
    "UnfitInventory",
    "UnfitToken",
    "UnknownEntry",
    "UnknownImage",
    "UnknownRoot",
    "UpdateFailed",
]
