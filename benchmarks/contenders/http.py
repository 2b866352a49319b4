"""Plain HTTP: nginx with sendfile on the repository, curl on the seats."""

from typing import ClassVar

from benchmarks.arrivals import Fetch
from benchmarks.lesson import Contender, Image, Lesson
from benchmarks.room import Host

_CONFIGURATION = """\
daemon off;
user root;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 80; root {folder}; }}
}}
"""


class Http(Contender):
    name = "http"
    programs: ClassVar = {"nginx": "nginx-light", "curl": "curl"}

    def publish(self, lesson: Lesson) -> None:
        repository = lesson.room.repository
        folder = lesson.place(repository)
        configuration = folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder))
        lesson.start(repository, ["nginx", "-e", "stderr", "-p", folder, "-c", configuration])
        probe = ["curl", "-fsS", "--head", f"http://{repository.address}/{lesson.images[0].name}"]
        lesson.until(lambda: repository.run(probe, check=False).returncode == 0, "nginx serves the images")

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        url = f"http://{lesson.room.repository.address}/{image.name}"
        return Fetch(seat, lesson.start(seat, ["curl", "-fsS", "-o", lesson.place(seat) / image.name, url]))
