"""What can be mounted, each with a real server or device behind it: what the contract is run on.

A case is a context manager of (PC, server's machine, folder) that yields a `Case`; CASES names them all.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from machines import until
from rooms.disks import loop_device
from seats import NOBODY, SERVER, Machine, Seat

PASSWORD, WRONG = "corre, que te cojo", "otra cosa"
USER = "opengnsys"
POINT = Path("/opt/opengnsys/images", SERVER)


@dataclass(frozen=True)
class Failure:
    """Arguments of `mount`, the exit code and a part of the sentence."""

    arguments: list[str]
    code: int
    told: str


@dataclass
class Case:
    """`tree` is what is seen at `point`; `gone` takes server or device away."""

    mount: list[str]
    point: Path
    place: str
    variable: str
    tree: Path
    code: int  # of what cannot be mounted
    gone: Callable[[], None]
    writes: bool = True  # with --write
    secrets: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)


def _credentials(folder: Path, name: str, password: str, *more: str) -> str:
    file = folder / f"{name}.credentials"
    file.touch(mode=0o600)
    file.write_text("\n".join((f"username={USER}", f"password={password}", *more)) + "\n")
    return str(file)


def _users(server: Machine, folder: Path, tree: Path) -> None:
    """On the server there is a user of ours, and the tree stands where anybody reaches it."""
    salted = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / "passwd").write_text(Path("/etc/passwd").read_text() + f"{USER}:x:0:0::/:/bin/sh\n")
    (folder / "shadow").write_text(Path("/etc/shadow").read_text() + f"{USER}:{salted}:19000:0:99999:7:::\n")
    server.do(
        f"mount --bind {folder}/passwd /etc/passwd; mount --bind {folder}/shadow /etc/shadow\n"
        f"mount --rbind {tree} /srv; mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/sshd /run/ganesha"
    )


def _until_listens(seat: Seat, port: int, log: Path) -> None:
    def answers() -> bool:
        return not seat.run("bash", "-c", f": </dev/tcp/{SERVER}/{port}").returncode

    try:
        until(answers)
    except AssertionError:
        raise AssertionError(log.read_text(errors="replace") if log.exists() else "no log") from None


def _remote(protocol: str, port: int, path: str, file: str, bad: str, wrong: str, folder: Path) -> Case:
    given = ["repo", "--protocol", protocol, "--path", path]
    tail = ["--credentials", file] if file else []
    case = Case(
        mount=[*given, SERVER, *tail],
        point=POINT,
        place=SERVER,
        variable="REPO",
        tree=folder / "tree",
        code=23,
        gone=lambda: None,
        secrets=[PASSWORD, WRONG],
    )
    absent = [*given, *tail]
    case.failures = {
        "no machine there": Failure([*absent, NOBODY], 23, "does not answer"),
        "no service there": Failure([*absent, f"{SERVER}:9"], 23, "does not answer at port 9"),
        "no such name": Failure([*absent, "nobody.invalid"], 23, "cannot be mounted"),
        "another path": Failure(
            ["repo", "--protocol", protocol, "--path", wrong, SERVER, *tail],
            23,
            f"the server has nothing at {wrong}",
        ),
    }
    if file:
        case.failures |= {
            "a wrong password": Failure(
                [*given, SERVER, "--credentials", bad], 23, "name or password is wrong"
            ),
            "no password": Failure([*given, SERVER], 23, "--credentials"),
        }
    return case


@contextlib.contextmanager
def sshfs(seat: Seat, server: Machine, folder: Path) -> Iterator[Case]:
    tree = folder / "tree"
    _users(server, folder, tree)
    key, log = folder / "hostkey", folder / "sshd.log"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (folder / "sshd_config").write_text(
        f"ListenAddress {SERVER}:22\nHostKey {key}\nUsePAM no\nPermitRootLogin yes\n"
        "PasswordAuthentication yes\nKbdInteractiveAuthentication no\n"
        "PidFile none\nSubsystem sftp internal-sftp\nUseDNS no\n"
    )
    sshd = server.popen("/usr/sbin/sshd", "-D", "-f", folder / "sshd_config", "-E", log)
    _until_listens(seat, 22, log)
    known = "hostkey=" + " ".join(key.with_suffix(".pub").read_text().split()[:2])
    other = folder / "otherkey"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    file = _credentials(folder, "right", PASSWORD, known)
    bad = _credentials(folder, "wrong", WRONG, known)
    stranger = _credentials(
        folder, "stranger", PASSWORD, "hostkey=" + " ".join(other.with_suffix(".pub").read_text().split()[:2])
    )
    case = _remote("sshfs", 22, "/srv", file, bad, "/srv/nothing", folder)
    case.failures["another server's key"] = Failure(
        ["repo", "--protocol", "sshfs", "--path", "/srv", SERVER, "--credentials", stranger],
        23,
        "key is not known",
    )
    # Of its server's key nothing is known either.
    case.failures["no password"] = Failure(
        ["repo", "--protocol", "sshfs", "--path", "/srv", SERVER], 23, "key is not known"
    )
    case.gone = lambda: server.do("kill -KILL $(pidof sshd)") and None
    yield case
    sshd.kill()
    sshd.wait()


APACHE = """
ServerName repository
Listen {address}:80
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule auth_basic_module {modules}/mod_auth_basic.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule dav_module {modules}/mod_dav.so
LoadModule dav_fs_module {modules}/mod_dav_fs.so
DavLockDB /run/dav/locks
Mutex file:/run/dav default
Alias /ogimages /srv
<Location /ogimages>
    Dav On
    AuthType Basic
    AuthName repository
    AuthBasicProvider file
    AuthUserFile /run/dav/passwords
    Require valid-user
</Location>
"""


@contextlib.contextmanager
def webdav(seat: Seat, server: Machine, folder: Path) -> Iterator[Case]:
    tree = folder / "tree"
    _users(server, folder, tree)
    log = folder / "apache.log"
    hashed = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    (folder / "passwords").write_text(f"{USER}:{{SHA}}{hashed}\n")
    (folder / "apache.conf").write_text(
        APACHE.format(address=SERVER, folder=folder, modules="/usr/lib/apache2/modules")
    )
    server.do(
        f"mkdir /run/dav; cp {folder}/passwords /run/dav; chown -R www-data /run/dav; chown -R www-data /srv"
    )
    apache = server.popen("/usr/sbin/apache2", "-f", folder / "apache.conf", "-DFOREGROUND")
    _until_listens(seat, 80, log)
    file, bad = _credentials(folder, "right", PASSWORD), _credentials(folder, "wrong", WRONG)
    case = _remote("webdav", 80, "/ogimages", file, bad, "/ogimages/nothing", folder)
    case.gone = lambda: server.do("kill -KILL $(pidof apache2)") and None
    yield case
    apache.kill()
    apache.wait()


SAMBA = """
[global]
    interfaces = {address}
    bind interfaces only = yes
    server role = standalone server
    disable netbios = yes
    smb ports = 445
    private dir = {folder}/private
    lock directory = {folder}/private
    state directory = {folder}/private
    cache directory = {folder}/private
    pid directory = {folder}/private
    ncalrpc dir = {folder}/private/ncalrpc
    log file = {folder}/smbd.log
    load printers = no
    disable spoolss = yes
[ogimages]
    path = /srv
    writeable = yes
    locking = no
    guest ok = no
    force user = root
"""


@contextlib.contextmanager
def smb(seat: Seat, server: Machine, folder: Path) -> Iterator[Case]:
    tree = folder / "tree"
    _users(server, folder, tree)
    (folder / "private").mkdir()
    settings = folder / "smb.conf"
    settings.write_text(SAMBA.format(address=SERVER, folder=folder))
    server.run(
        "smbpasswd", "-c", settings, "-L", "-s", "-a", USER, input=f"{PASSWORD}\n{PASSWORD}\n", check=True
    )
    smbd = server.popen("smbd", "--foreground", "--no-process-group", "-s", settings)
    _until_listens(seat, 445, folder / "smbd.log")
    file, bad = _credentials(folder, "right", PASSWORD), _credentials(folder, "wrong", WRONG)
    case = _remote("smb", 445, "/ogimages", file, bad, "/nothing", folder)
    case.gone = lambda: server.do("kill -KILL $(pidof smbd)") and None
    yield case
    smbd.kill()
    smbd.wait()


GANESHA = """
NFS_CORE_PARAM {{ Protocols = 4; Bind_addr = {address}; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSV4 {{ Graceless = true; Lease_Lifetime = 5; RecoveryRoot = {folder}/recovery; }}
EXPORT_DEFAULTS {{ SecType = sys; Squash = no_root_squash; Access_Type = RW; }}
EXPORT {{ Export_Id = 1; Path = {tree}; Pseudo = /opt/opengnsys/images; FSAL {{ Name = VFS; }} }}
"""


@contextlib.contextmanager
def nfs(seat: Seat, server: Machine, folder: Path) -> Iterator[Case]:
    tree = folder / "tree"
    _users(server, folder, tree)
    (folder / "recovery").mkdir()
    (folder / "ganesha.conf").write_text(GANESHA.format(address=SERVER, folder=folder, tree=tree))
    log = folder / "ganesha.log"
    options = ["-F", "-f", folder / "ganesha.conf", "-L", log, "-p", folder / "ganesha.pid"]
    ganesha = server.popen("ganesha.nfsd", *options)
    _until_listens(seat, 2049, log)
    case = _remote("nfs", 2049, "/opt/opengnsys/images", "", "", "/opt/opengnsys/nothing", folder)
    case.gone = lambda: server.do("kill -KILL $(pidof ganesha.nfsd)") and None
    yield case
    ganesha.kill()
    ganesha.wait()


@contextlib.contextmanager
def _device(folder: Path, mkfs: list[str | Path], at: str) -> Iterator[Case]:
    """A disk with the tree; `mkfs` writes the file system, and may want the device behind its words."""
    with loop_device(folder / "disk", 32) as device:
        subprocess.run([*mkfs, device], check=True, capture_output=True)
        empty = Failure(["storage", "/dev/null"], 3, "no block device")
        yield Case(
            mount=["storage", str(device)],
            point=Path("/mnt", at or f"USB-{device.name}"),
            place=at or f"USB-{device.name}",
            variable="USB",
            tree=folder / "tree",
            code=3,
            # What is pulled out reads as nothing.
            gone=lambda: os.truncate(folder / "disk", 0),
            writes=False,  # the tree is the disk's model, not the disk
            failures={"no device": empty},
        )


def usb(seat: Seat, server: Machine, folder: Path) -> AbstractContextManager[Case]:
    label = f"OG{secrets.token_hex(4)}"
    return _device(folder, ["mkfs.ext4", "-q", "-L", label, "-d", folder / "tree"], f"USB-{label}")


def pressed(seat: Seat, server: Machine, folder: Path) -> AbstractContextManager[Case]:
    """A medium that can only be read."""
    script = f"mksquashfs {folder}/tree {folder}/pressed -quiet && dd if={folder}/pressed of=$0 conv=notrunc"
    return _device(folder, ["sh", "-ec", script], "")


CASES: dict[str, Callable[[Seat, Machine, Path], AbstractContextManager[Case]]] = {
    "nfs": nfs,
    "smb": smb,
    "sshfs": sshfs,
    "webdav": webdav,
    "usb": usb,
    "pressed": pressed,
}
KERNEL = {"nfs": "nfs", "smb": "cifs"}  # the clients that are the kernel's own
