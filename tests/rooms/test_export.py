"""docs/export.md: what stands there is given to the real servers, which then give images and take none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .laboratory import PROJECT, skip_without_room

pytestmark = [pytest.mark.room, pytest.mark.root]

PAGE = (PROJECT / "docs" / "export.md").read_text()
PASSWORD = "corre, que te cojo"
# A machine of its own with the images of the page, which anybody may write. Accounts end with it, too.
MACHINE = f"""
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /opt/opengnsys/images
cp "$work/windows.img" /opt/opengnsys/images/
chmod -R a+rwX /opt/opengnsys/images
mount -t tmpfs -o mode=755 tmpfs /run
for one in passwd group shadow; do cp /etc/$one "$work/$one"; done
grep -q ^opengnsys: "$work/passwd" || echo 'opengnsys:x:7654:7654::/nowhere:/bin/sh' >>"$work/passwd"
sed -i '/^opengnsys:/d' "$work/shadow"
echo 'opengnsys:*:19000:0:99999:7:::' >>"$work/shadow"
for one in passwd group shadow; do mount --bind "$work/$one" /etc/$one; done
listens() {{
    for i in $(seq 300); do bash -c ": </dev/tcp/127.0.0.1/$1" 2>/dev/null && return; sleep 0.1; done
}}
refused() {{ ! "$@" || {{ echo "it was written: $*" >&2; exit 1; }}; }}
password='{PASSWORD}'
"""


def block(title: str) -> str:
    """What is to be put into a server's configuration, from a section of the page."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    (found,) = re.findall(r"^```\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    return str(found)


def run(folder: Path, configuration: str, script: str) -> str:
    """Run a shell's script on a machine with this file as `$work/configuration`; what it said."""
    (folder / "windows.img").write_bytes(bytes(range(256)) * 1000)
    (folder / "configuration").write_text(configuration)
    shell = ["sh", "-ec", f'work="{folder}"\n{MACHINE}\n{script}']
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *shell],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_line_of_nfs_exports_for_reading(tmp_path: Path) -> None:
    skip_without_room(exportfs="nfs-kernel-server")
    script = """
    mount -t tmpfs tmpfs /var/lib/nfs
    mount --bind "$work/configuration" /etc/exports
    exportfs -ra && exportfs -s
    """
    exported = run(tmp_path, block("NFS"), script)
    place, _, options = exported.partition("(")
    assert place.split() == ["/opt/opengnsys/images", "10.1.0.0/16"]
    assert {"ro", "no_root_squash", "crossmnt"} <= set(options.rstrip(")\n").split(","))


SAMBA = """
[global]
    server role = standalone server
    disable netbios = yes
    smb ports = 445
    load printers = no
    disable spoolss = yes
"""


def test_the_share_of_samba_is_read_and_not_written(tmp_path: Path) -> None:
    skip_without_room(smbd="samba", smbclient="smbclient")
    directories = (
        "private dir",
        *(f"{one} directory" for one in ("lock", "state", "cache", "pid")),
        "ncalrpc dir",
    )
    places = "".join(f"    {name} = {tmp_path}/private\n" for name in directories)
    places += f"    log file = {tmp_path}/log\n"
    script = """
    mkdir "$work/private"
    testparm -s "$work/configuration"
    printf '%s\\n%s\\n' "$password" "$password" | smbpasswd -c "$work/configuration" -L -s -a opengnsys
    smbd --foreground --no-process-group -s "$work/configuration" &
    listens 445
    printf 'username=opengnsys\\npassword=%s\\n' "$password" >"$work/credentials"
    client() { smbclient -s "$work/configuration" -A "$work/credentials" //127.0.0.1/ogimages -c "$1"; }
    client "get windows.img $work/got"
    cmp "$work/got" "$work/windows.img"
    refused client "put $work/got other.img"
    refused smbclient -s "$work/configuration" -N //127.0.0.1/ogimages -c ls
    """
    run(tmp_path, f"{SAMBA}{places}{block('SMB')}", script)


def test_a_user_of_ssh_reads_and_writes_nothing(tmp_path: Path) -> None:
    skip_without_room(sshd="openssh-server", sshfs="sshfs")
    base = f"HostKey {tmp_path}/key\nAuthorizedKeysFile /run/key.pub\nStrictModes no\nUsePAM no\n"
    script = """
    mkdir /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    cp "$work/key.pub" /run/
    $(command -v sshd) -t -f "$work/configuration"
    $(command -v sshd) -D -f "$work/configuration" -E "$work/log" -o ListenAddress=127.0.0.1 &
    listens 22
    options="-F none -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$work/known"
    options="$options -o IdentityFile=$work/key"
    sshfs $options opengnsys@127.0.0.1:/images /mnt
    cmp /mnt/windows.img "$work/windows.img"
    refused touch /mnt/other.img
    refused rm /mnt/windows.img
    refused ssh $options opengnsys@127.0.0.1 true
    """
    run(tmp_path, base + "Subsystem sftp internal-sftp\n" + block("SSH"), script)


APACHE = """
ServerName repository
Listen 127.0.0.1:80
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
User www-data
Group www-data
"""
MODULES = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"]
MODULES += ["alias", "dav", "dav_fs"]


def test_webdav_lists_and_gives_and_takes_nothing(tmp_path: Path) -> None:
    skip_without_room(apache2="apache2", curl="curl")
    base = APACHE.format(folder=tmp_path) + "".join(
        f"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n" for module in MODULES
    )
    script = """
    chmod 755 "$work"
    mkdir /run/dav && chown www-data /run/dav
    printf 'opengnsys:%s\\n' "$(printf %s "$password" | openssl passwd -apr1 -stdin)" >/run/dav/passwords
    mount -t tmpfs tmpfs /etc/apache2
    cp /run/dav/passwords /etc/apache2/images.passwords
    apache2 -t -f "$work/configuration"
    apache2 -f "$work/configuration" -DFOREGROUND &
    listens 80
    printf 'user = "opengnsys:%s"\\n' "$password" >"$work/credentials"
    ask() { curl -sS -K "$work/credentials" -o "$work/answer" -w '%{http_code}\\n' "$@"; }
    site=http://127.0.0.1/ogimages
    test "$(ask -X PROPFIND -H 'Depth: 1' $site/)" = 207
    grep -q windows.img "$work/answer"
    test "$(ask $site/windows.img)" = 200
    cmp "$work/answer" "$work/windows.img"
    test "$(ask -T "$work/windows.img" $site/other.img)" = 403
    test "$(ask -X DELETE $site/windows.img)" = 403
    test "$(curl -sS -o "$work/answer" -w '%{http_code}' $site/windows.img)" = 401
    cmp "$work/windows.img" /opt/opengnsys/images/windows.img
    """
    lock = "DavLockDB /run/dav/locks\nMutex file:/run/dav default\n"
    run(tmp_path, base + lock + block("WebDAV"), script)
