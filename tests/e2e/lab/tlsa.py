"""TLSA records of the certificates that lab/ca.py makes (RFC 6698)."""

import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization

END = b"-----END CERTIFICATE-----\n"


def certificates(cert):
    """Those in its file, the host's own first."""
    pem = pathlib.Path(cert.path).read_bytes()
    parts = pem[pem.index(b"-----BEGIN CERT") :].split(END)[:-1]
    return [x509.load_pem_x509_certificate(part + END) for part in parts]


def record(usage, selector, matching, cert):
    """The text of a record for an x509.Certificate."""
    if selector == 0:
        data = cert.public_bytes(serialization.Encoding.DER)
    else:
        data = cert.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    if matching == 1:
        data = hashlib.sha256(data).digest()
    elif matching == 2:
        data = hashlib.sha512(data).digest()
    return f"{usage} {selector} {matching} {data.hex()}"


def of_host(kind, cert):
    """kind "3 1 1": that record for the host's certificate."""
    return record(*map(int, kind.split()), certificates(cert)[0])


def of_authority(kind, authority):
    """kind "2 0 1": that record for the authority's certificate."""
    return record(*map(int, kind.split()), authority.certificate)
