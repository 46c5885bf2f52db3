"""Certificates of a private authority: one that holds, and one that ended yesterday."""

from __future__ import annotations

import datetime
import pathlib

import trustme


def make(folder: pathlib.Path) -> tuple[pathlib.Path, dict[bool, pathlib.Path]]:
    """The authority's file, and what to serve with: False the good one, True the one that is too old."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    now = datetime.datetime.now(datetime.UTC)
    files = {}
    for expired, ends in ((False, now + datetime.timedelta(days=1)), (True, now - datetime.timedelta(days=1))):
        issued = authority.issue_cert("127.0.0.1", not_before=now - datetime.timedelta(days=9), not_after=ends)
        files[expired] = folder / f"server-{expired}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(files[expired])
    return ca_file, files
