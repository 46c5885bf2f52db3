"""nginx twice: as upstream with static answers, and as the reverse proxy before it, which is the ceiling."""

from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Final

from bench import answers
from bench.programs import Program

# What takes time without need is off: nothing is logged, no connection ends by its count, no file is asked for again.
_COMMON: Final = """
daemon off;
{user}worker_processes {workers};
pid {folder}/nginx-{name}.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  default_type application/json;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/{name}-body;
  proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-fastcgi;
  uwsgi_temp_path {folder}/{name}-uwsgi;
  scgi_temp_path {folder}/{name}-scgi;
  open_file_cache max=100;
{rest}}}
"""

# A POST to a file is a 405 to nginx; the file is what is said instead.
_ANSWER: Final = """    location = /{name}/v1/embeddings {{
      alias {folder}/answers/{name}.json; error_page 405 =200 /answers/{said}.json;
    }}
"""

# Who asks for the half that was not cached may ask for all, when the cache was too slow: 50 texts are under 5 kB.
_HALF: Final = """  map $content_length $half {{ default b100; "~^[1-4]?\\d?\\d?\\d$" b50; }}
"""

_UPSTREAM: Final = """{half}  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/certificate.pem;
    location /answers/ {{ internal; root {folder}; }}
{locations}  }}
"""

_WAY: Final = "  upstream {name} {{ server 127.0.0.1:{port}; keepalive 2048; keepalive_requests 1000000000; }}\n"

_PROXY: Final = """{ways}  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 16 64k;
    proxy_buffer_size 64k;
    proxy_busy_buffers_size 128k;
    proxy_max_temp_file_size 0;
    proxy_ssl_trusted_certificate {folder}/ca.pem;
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    location /plain/ {{ proxy_pass http://plain/; }}
    location /tls/ {{ proxy_pass https://tls/; }}
    location /slow/ {{ proxy_pass http://slow/; }}
  }}
"""


def upstream(binary: str, folder: pathlib.Path, port: int, tls_port: int) -> Program:
    """Two workers, so that it is not what is measured."""
    locations = "".join(
        _ANSWER.format(name=name, said="$half" if name == "b50" else name, folder=folder) for name in answers.NAMES
    )
    rest = _UPSTREAM.format(half=_HALF.format(), port=port, tls_port=tls_port, folder=folder, locations=locations)
    return _nginx("upstream", binary, folder, port, 2, rest)


def proxy(binary: str, folder: pathlib.Path, port: int, ways: dict[str, int]) -> Program:
    """One worker, as the gateway has. `ways` are the ports of `plain`, `tls` and `slow`."""
    written = "".join(_WAY.format(name=name, port=to) for name, to in ways.items())
    return _nginx("nginx", binary, folder, port, 1, _PROXY.format(ways=written, port=port, folder=folder))


def _nginx(name: str, binary: str, folder: pathlib.Path, port: int, workers: int, rest: str) -> Program:
    file = folder / f"{name}.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # or its workers could not read a folder that is root's alone
    file.write_text(_COMMON.format(user=user, workers=workers, folder=folder, name=name, rest=rest))
    return Program(name, [binary, "-p", str(folder), "-e", "stderr", "-c", str(file)], port, folder)


def check(binary: str, folder: pathlib.Path) -> str:
    """What `nginx -t` says against the files that were written; empty if nothing."""
    said = ""
    for name in ("upstream", "nginx"):
        command = [binary, "-t", "-q", "-p", str(folder), "-e", "stderr", "-c", str(folder / f"{name}.conf")]
        said += subprocess.run(command, capture_output=True, text=True, check=False).stderr  # noqa: S603
    return said
