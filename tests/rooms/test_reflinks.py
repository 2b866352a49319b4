"""Where the file system can share blocks, what an older image has takes no room a second time."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest
from machines import Seat, Server, published

from .disks import loop_device, mounted, skip_without_disks
from .laboratory import MEBIBYTE

pytestmark = [pytest.mark.room, pytest.mark.root]

SIZE = 64 * MEBIBYTE
KINDS = {"btrfs": (["mkfs.btrfs", "-q"], 256, "btrfs-progs"), "xfs": (["mkfs.xfs", "-q"], 320, "xfsprogs")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rebuilt_image_shares_its_blocks_with_the_old_one(
    serve: Callable[..., Server], seat: Callable[..., Seat], tmp_path: Path, kind: str
) -> None:
    skip_without_disks()
    make, mebibytes, package = KINDS[kind]
    if which(make[0]) is None:
        pytest.skip(f"{make[0]} is missing: apt-get install {package}")
    there = published(tmp_path / "images" / "windows.img", tmp_path / "images", SIZE)
    with loop_device(tmp_path / "disk", mebibytes) as device:
        subprocess.run([*make, device], check=True)
        with mounted(device, tmp_path / "cache") as cache:
            server, pc = serve(there.parent), seat(cache)
            try:
                old = server.ready("windows.img")
                pc.update(server.address, "windows.img").done  # noqa: B018
                here = cache / "images" / "windows.img"
                with here.open("rb") as kept:  # its blocks stay as long as it is open
                    free = _free(cache)
                    content = bytearray(there.read_bytes())
                    content[:MEBIBYTE] = random.Random(1).randbytes(MEBIBYTE)
                    content += b"at the end, no whole block"
                    there.with_name(".new").write_bytes(content)
                    there.with_name(".new").rename(there)
                    server.ready("windows.img", but=old)
                    done = pc.update(server.address, "windows.img").done
                    assert done.shared >= SIZE - 2 * MEBIBYTE
                    assert free - _free(cache) < SIZE // 4
                    assert here.read_bytes() == content and kept.read(1) != b""
            finally:
                pc.stop()


def _free(path: Path) -> int:
    os.sync()
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
