"""Certificates: one authority, and leaves with every fault there is."""

import datetime
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Cert:
    """A file with key and chain, and a server context for it."""

    def __init__(self, path):
        self.path = str(path)

    def context(self, lowest=ssl.TLSVersion.TLSv1_2, highest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if lowest < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = lowest
        if highest:
            context.maximum_version = highest
        context.load_cert_chain(self.path)
        return context


class Authority:
    def __init__(self, folder, name="Lab CA"):
        self.folder = pathlib.Path(folder)
        self.name = name
        self._count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._cert = (
            self._builder(_name(name), _name(name), self._key)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = str(self.folder / f"{name.replace(' ', '-').lower()}.pem")
        pathlib.Path(self.path).write_bytes(
            self._cert.public_bytes(serialization.Encoding.PEM)
        )

    @staticmethod
    def _builder(subject, issuer, key, begin=-DAY, end=30 * DAY):
        now = datetime.datetime.utcnow()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begin)
            .not_valid_after(now + end)
        )

    def _save(self, cert, key):
        self._count += 1
        path = self.folder / f"{self.name.replace(' ', '-').lower()}-{self._count}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + cert.public_bytes(serialization.Encoding.PEM)
        )
        path.chmod(0o600)
        return Cert(path)

    def _leaf(self, names, cn, begin, end, issuer, signer):
        builder = self._builder(
            _name(cn or (names[0] if names else "leaf")),
            issuer,
            self._leaf_key,
            begin,
            end,
        ).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        if names:
            san = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
            builder = builder.add_extension(san, critical=False)
        return self._save(builder.sign(signer, hashes.SHA256()), self._leaf_key)

    def good(self, *names):
        """Wildcards are names too: good("*.a.test")."""
        return self._leaf(
            names, None, -DAY, 30 * DAY, self._cert.subject, self._key
        )

    def expired(self, *names):
        return self._leaf(
            names, None, -10 * DAY, -DAY, self._cert.subject, self._key
        )

    def not_yet_valid(self, *names):
        return self._leaf(
            names, None, 10 * DAY, 20 * DAY, self._cert.subject, self._key
        )

    def cn_only(self, name):
        """No subject alternative name; the common name is right."""
        return self._leaf((), name, -DAY, 30 * DAY, self._cert.subject, self._key)

    def chained(self, cert):
        """The same, and the authority's certificate is sent along."""
        self._count += 1
        stem = pathlib.Path(cert.path).stem
        path = self.folder / f"{stem}-chain-{self._count}.pem"
        path.write_bytes(
            pathlib.Path(cert.path).read_bytes()
            + self._cert.public_bytes(serialization.Encoding.PEM)
        )
        path.chmod(0o600)
        return Cert(path)

    def client(self, *mails, expired=False):
        """Of a client, for its mail addresses."""
        builder = self._builder(
            _name(mails[0]), self._cert.subject, self._leaf_key,
            -10 * DAY, -DAY if expired else 30 * DAY,
        ).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        ).add_extension(
            x509.SubjectAlternativeName([x509.RFC822Name(m) for m in mails]),
            critical=False,
        )
        return self._save(builder.sign(self._key, hashes.SHA256()), self._leaf_key)

    @property
    def certificate(self):
        return self._cert

    def self_signed(self, *names):
        return self._leaf(
            names, None, -DAY, 30 * DAY, _name(names[0]), self._leaf_key
        )
