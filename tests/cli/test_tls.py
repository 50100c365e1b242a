"""TLS by certificate and key files."""

from __future__ import annotations

import datetime as dt
import ipaddress
import signal
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.serve.tls import Certificates, TlsError
from tests.cli.service import Configured, ask, authorization, wait_until
from tests.processes import run_bridge

TABLE = '[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'


def make_certificate(folder: Path) -> None:
    """A fresh self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "cert.pem")


def test_it_serves_tls_and_takes_a_renewed_certificate_without_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "bridge"
    make_certificate(folder)
    configured = Configured(folder, TABLE)
    with configured.service() as process:
        url = process.ready["webdav_url"]
        assert url.startswith("https://127.0.0.1:")
        headers = authorization("main", configured.secret)
        old = trusting(folder)
        assert ask(f"{url}a", "PUT", headers, b"x" * 3_000_000, tls=old)[0] == 201
        assert ask(f"{url}a", headers=headers, tls=old)[2] == b"x" * 3_000_000
        make_certificate(folder)
        process.signal(signal.SIGHUP)
        assert wait_until(lambda: "certificate reloaded" in process.log_text())
        assert ask(f"{url}a", "HEAD", headers, tls=trusting(folder))[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(f"{url}a", "HEAD", headers, tls=old)


def test_a_renewal_that_is_half_written_changes_nothing(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    certificates = Certificates(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert not certificates.reload()
    key = (tmp_path / "key.pem").read_bytes()
    make_certificate(tmp_path)
    new_key = (tmp_path / "key.pem").read_bytes()
    (tmp_path / "key.pem").write_bytes(key)
    assert not certificates.reload()
    (tmp_path / "key.pem").write_bytes(new_key)
    assert certificates.reload()


@pytest.mark.parametrize("file", ["cert.pem", "key.pem"])
@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_files_that_will_not_do_are_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    make_certificate(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(TlsError, match=file):
        Certificates(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_a_missing_certificate_ends_the_start_in_words(tmp_path: Path) -> None:
    configured = Configured(tmp_path / "bridge", TABLE)
    ended = run_bridge("serve", "--config", str(configured.file))
    assert ended.returncode == 3
    assert "cert.pem does not exist" in ended.stderr
    assert "Traceback" not in ended.stderr
