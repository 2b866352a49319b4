"""What the kernel of the machine that runs the tests may lack: its clients of NFS and of SMB."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.room import Room

from . import qemu, servers
from .build import Live
from .conftest import PC, Record
from .site import REPO

pytestmark = [pytest.mark.room, pytest.mark.root]

SUITE = "/usr/lib/ogtorrent"


def test_the_contract_of_mounts_is_kept_by_a_real_kernel(live: Live, record: Record) -> None:
    with PC(live, record).without_network() as machine:
        options = "-v -p no:cacheprovider -W ignore --basetemp=/tmp/suite"
        command = f"cd {SUITE} && python3 -m pytest {options} -k '[nfs] or [smb]' tests/mounts/test_mount.py"
        said = machine.run(command, seconds=1200)
    passed = re.findall(r"::(test_\w+)\[(nfs|smb)\] PASSED", said)
    by_protocol = {protocol: {name for name, by in passed if by == protocol} for protocol in ("nfs", "smb")}
    assert by_protocol["nfs"] == by_protocol["smb"] and len(by_protocol["nfs"]) > 5, said
    assert "skipped" not in said.splitlines()[-1], said


def test_a_repository_on_another_servers_disk_is_published(live: Live, record: Record, tmp_path: Path) -> None:
    """NFS 4 and SMB refuse every lease, and with the error that means that somebody writes."""
