"""Making of certificates with the package cryptography. The same arguments give the same octets."""

import datetime as dt
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = Ed25519PrivateKey
_SERIAL = 1 << 64


def authority(secret: bytes, first: dt.datetime, last: dt.datetime) -> tuple[x509.Certificate, Key]:
    """Make a certificate that signs others, and its key."""
    key = Ed25519PrivateKey.from_private_bytes(secret)
    name = _name("Postel's authority for tests")
    builder = _builder(name, name, key, (first, last), serial=_SERIAL)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(key, None), key


def issued(
    names: Sequence[str],
    secret: bytes,
    by: x509.Certificate,
    signer: Key,
    first: dt.datetime,
    last: dt.datetime,
) -> tuple[x509.Certificate, Key]:
    """Make a certificate for ``names``, signed by the authority ``by``, and its key."""
    key = Ed25519PrivateKey.from_private_bytes(secret)
    builder = _builder(_name(names[0]), by.subject, key, (first, last), serial=_SERIAL + 1)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    )
    return builder.add_extension(
        x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
    ).sign(signer, None), key


def pem(certificate: x509.Certificate) -> bytes:
    """Write a certificate as text."""
    return certificate.public_bytes(Encoding.PEM)


def pem_key(key: Key) -> bytes:
    """Write a private key as text, without a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, valid: tuple[dt.datetime, dt.datetime], *, serial: int
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
    )
    builder = builder.not_valid_before(valid[0]).not_valid_after(valid[1])
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    """Address or name in the form in which a certificate lists it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
