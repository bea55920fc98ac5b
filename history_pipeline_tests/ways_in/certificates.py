"""A private authority and what it signs, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY_PASSWORD = "öpen säsame"


@dataclass(frozen=True, slots=True)
class Authority:
    """Its certificate is `pem`; `issue` signs others."""

    directory: Path

    @property
    def pem(self) -> Path:
        return self.directory / "ca.pem"

    def issue(self, name: str, *, host: str | None = None) -> tuple[Path, Path]:
        """A certificate and its key; with `host`, an address, it is a server's."""
        cert, key, asked = (self.directory / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self.directory / f"{name}.cnf"
        extensions.write_text(f"subjectAltName=IP:{host}\n" if host else "")
        openssl("req", *_NEW_KEY, "-keyout", key, "-out", asked, "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", asked, "-out", cert, "-days", "2", "-extfile", extensions),
            *("-CA", self.pem, "-CAkey", self.directory / "ca.key", "-CAcreateserial"),
        )
        return cert, key


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(directory: Path, name: str) -> Authority:
    directory.mkdir()
    made = Authority(directory)
    key = directory / "ca.key"
    openssl(
        *("req", "-x509", *_NEW_KEY, "-keyout", key, "-out", made.pem),
        *("-days", "2", "-subj", f"/CN={name}"),
    )
    return made


def encrypted(key: Path) -> Path:
    """The same key, which KEY_PASSWORD opens."""
    locked = key.with_suffix(".locked")
    password = key.with_suffix(".password")
    password.write_text(KEY_PASSWORD, encoding="utf-8")
    openssl("pkey", "-in", key, "-aes256", "-passout", f"file:{password}", "-out", locked)
    return locked


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
