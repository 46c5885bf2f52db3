"""Whose certificates are believed: the platform's authorities where it names them, or a target's own."""

from __future__ import annotations

import ssl

import certifi


def context(ca_file: str | None) -> ssl.SSLContext:
    """For connections that speak HTTP/1.1; raises OSError when a file of authorities is no such thing.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` are where a platform's own authorities are. OpenSSL knows both, and where its
    builder keeps them; a plain Python image has none there, so certifi's stand in.
    """
    paths = ssl.get_default_verify_paths()
    folder = paths.capath if paths.capath != paths.openssl_capath else None
    file = ca_file or paths.cafile or (None if folder else certifi.where())
    made = ssl.create_default_context(cafile=file, capath=None if file else folder)
    made.set_alpn_protocols(["http/1.1"])
    return made
