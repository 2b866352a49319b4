"""Files of credentials: read by their owner alone, and never told."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ogtorrent.errors import BadAddress, BadCredentials, NotMountable
from ogtorrent.mounts.credentials import Credentials, read
from ogtorrent.mounts.protocols import checked_path, remote
from ogtorrent.mounts.remote import Host


def written(folder: Path, text: bytes, mode: int = 0o600) -> Path:
    file = folder / "credentials"
    file.touch()
    file.chmod(mode)
    file.write_bytes(text)
    return file


def test_a_file_is_read_as_mount_cifs_reads_it(tmp_path: Path) -> None:
    text = b"# ours\n\nusername = aula\npassword= con = y, comas \ndomain=UPM\n"
    assert read(written(tmp_path, text)) == Credentials("aula", " con = y, comas ", "UPM")
    assert read(written(tmp_path, b"password=og\n")).username == "opengnsys"
    assert "comas" not in repr(read(written(tmp_path, text)))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BadCredentials, match="chmod 600") as refused:
        read(written(tmp_path, b"password=secreta\n", mode))
    assert refused.value.exit_code == 1


@pytest.mark.parametrize(
    "text", [b"secreta\n", b"user=secreta\n", b"password=\xffsecreta\n", b"domain=a\x00\n"]
)
def test_what_is_no_file_of_credentials_is_refused_and_not_told(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BadCredentials) as refused:
        read(written(tmp_path, text))
    assert "secreta" not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadCredentials):
            read(path)


@given(text=st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, text: bytes) -> None:
    try:
        found = read(written(tmp_path, text))
    except BadCredentials:
        return
    # A line more would be an option more to who reads what we hand over.
    assert "\n" not in found.username + found.password + found.domain + found.identity + found.hostkey


@pytest.mark.parametrize(
    ("given", "name", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 0),
        ("localhost:8080", "localhost", 8080),
        ("::1", "::1", 0),
        ("[::1]:2049", "::1", 2049),
    ],
)
def test_a_server_is_a_name_or_an_address_and_maybe_a_port(given: str, name: str, port: int) -> None:
    found = Host.parse(given)
    assert (found.name, found.port) == (name, port) and found.address in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    "given", ["", "a b", "-oProxyCommand=x", "10.1.0.1:99999", "h:1:2", "//h", "h,ro", "h/x"]
)
def test_what_is_no_server_is_refused(given: str) -> None:
    with pytest.raises(BadAddress):
        Host.parse(given)


@pytest.mark.parametrize(
    ("protocol", "path", "known"),
    [
        ("smb", "/images,uid=0", Credentials("og")),
        ("smb", "/images", Credentials("og,sec=none")),
        ("smb", "/images", Credentials("og", domain="UPM,ro")),
        ("sshfs", "/images", Credentials("-oProxyCommand=sh")),
    ],
)
def test_no_name_becomes_an_option(protocol: str, path: str, known: Credentials) -> None:
    nobody = Host("localhost", "127.0.0.1", 9)
    with pytest.raises(NotMountable, match="would be an option"):
        remote(protocol, nobody, path, False, known).mount(Path("/nowhere"), write=False)


def test_a_path_is_a_folder_of_the_server() -> None:
    assert checked_path("ogimages/aula 1/") == checked_path("/ogimages/aula 1") == "/ogimages/aula 1"
    for path in ("/", "a/../b", "a\nb", ".", "a\\b"):
        with pytest.raises(BadAddress):
            checked_path(path)
