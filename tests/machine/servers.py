"""What the repository's machine offers besides ogtorrent: its tree over NFS 4 and over SMB."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rooms.laboratory import until

from benchmarks.room import Host

USER = "nobody"  # Samba wants a user that the system has; what he does there is root's work
GANESHA = """
NFS_CORE_PARAM {{ Protocols = 4; Bind_addr = {address}; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSV4 {{ Grace_Period = 5; Lease_Lifetime = 5; RecoveryRoot = {folder}/recovery; }}
EXPORT_DEFAULTS {{ SecType = sys; Squash = no_root_squash; Access_Type = RW; }}
EXPORT {{ Export_Id = 1; Path = {tree}; Pseudo = {at}; FSAL {{ Name = VFS; }} }}
"""
SAMBA = """
[global]
    interfaces = {address}
    bind interfaces only = yes
    server role = standalone server
    disable netbios = yes
    smb ports = 445
    private dir = {folder}/private
    lock directory = {folder}/lock
    state directory = {folder}/state
    cache directory = {folder}/cache
    pid directory = {folder}
    ncalrpc dir = {folder}/ncalrpc
    log file = {folder}/smbd.log
    load printers = no
    disable spoolss = yes
[{share}]
    path = {tree}
    read only = yes
    force user = root
"""


def nfs(host: Host, tree: Path, at: str, folder: Path) -> None:
    """nfs-ganesha, which needs no NFS in this machine's kernel; `at`: the path that clients name."""
    folder.mkdir()
    (folder / "recovery").mkdir()
    Path("/run/ganesha").mkdir(exist_ok=True)
    settings, log = folder / "ganesha.conf", folder / "ganesha.log"
    settings.write_text(GANESHA.format(address=host.address, tree=tree, at=at, folder=folder))
    argv: list[str | Path] = ["ganesha.nfsd", "-F", "-f", settings, "-L", log, "-p", folder / "ganesha.pid"]
    host.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: _listens(host, 2049), "nfs-ganesha answers", log=log)


def smb(host: Host, tree: Path, share: str, password: str, folder: Path) -> None:
    """Samba, for one user."""
    for name in ("private", "lock", "state", "cache", "ncalrpc"):
        (folder / name).mkdir(parents=True)
    settings, log = folder / "smb.conf", folder / "smbd.log"
    settings.write_text(SAMBA.format(address=host.address, tree=tree, share=share, folder=folder))
    words = ["smbpasswd", "-c", str(settings), "-s", "-a", USER]
    subprocess.run(words, input=f"{password}\n{password}\n", text=True, check=True, capture_output=True)
    with (folder / "smbd.out").open("wb") as out:
        host.popen(["smbd", "--foreground", "--no-process-group", "-s", settings], stdout=out, stderr=out)
    until(lambda: _listens(host, 445), "smbd answers", log=log)


def _listens(host: Host, port: int) -> bool:
    return bool(host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout.strip())
