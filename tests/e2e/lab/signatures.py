"""Keys for DKIM, and two verifiers that are not ours: dkimpy and mailauth.

    key = Key(world, folder, "a.test", "s1", "ed25519")    # published, too
    relay = new_relay(signing(key))
    verified(world, delivery.data) == [("a.test", "s1", "ed25519-sha256")]
"""

import base64
import json
import pathlib
import re
import subprocess

import dkim
import dns.message
import dns.query
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from . import npm

SCRIPT = pathlib.Path(__file__).with_name("verify.js")


def make(kind):
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind))


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def record(key):
    public = key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        kind, form = "ed25519", (
            serialization.Encoding.Raw,
            serialization.PublicFormat.Raw,
        )
    else:
        kind, form = "rsa", (
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    text = base64.b64encode(public.public_bytes(*form)).decode()
    return f"v=DKIM1; k={kind}; p={text}"


class Key:
    """One in a file, with its record in DNS.  kind: "ed25519", or the bits of
    an RSA key."""

    def __init__(self, world, folder, domain, selector="s1", kind="ed25519"):
        self.world, self.domain, self.selector = world, domain, selector
        self.algorithm = "ed25519-sha256" if kind == "ed25519" else "rsa-sha256"
        self.name = f"{selector}._domainkey.{domain}"
        self.path = pathlib.Path(folder) / f"{domain}.{selector}.pem"
        self.change(make(kind))

    def change(self, key):
        self.pem = pem(key)
        self.write(self.pem)
        self.publish(record(key))

    def write(self, octets):
        """As a whole, at once: the file is another one afterwards."""
        new = self.path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_bytes(octets)
        new.rename(self.path)

    def publish(self, text):
        self.record = text
        self.world.dns.drop(self.name)
        strings = [text[i : i + 255] for i in range(0, len(text), 255)]
        self.world.dns.txt(self.name, *strings, ttl=1)

    @property
    def signature(self):
        return (self.domain, self.selector, self.algorithm)


def signing(*keys):
    """The configuration that signs with these."""
    config = {}
    for key in keys:
        block = config.setdefault(f'dkim "{key.domain}"', {"selector": [], "key": []})
        block["selector"].append(key.selector)
        block["key"].append(str(key.path))
    return config


def signatures(data):
    """The signature fields of a message, unfolded, as dictionaries."""
    head = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace") + "\r\n"
    fields = re.findall(r"(?im)^dkim-signature:((?:[^\r\n]*\r\n)(?:[ \t][^\r\n]*\r\n)*)", head)
    tags = [re.sub(r"\r\n", "", f).split(";") for f in fields]
    return [
        {t.partition("=")[0].strip(): t.partition("=")[2].strip() for t in one}
        for one in tags
    ]


def _ask(world, name):
    """The strings of a TXT record, joined, as a resolver gets them."""
    query = dns.message.make_query(name, "TXT")
    answer = dns.query.tcp(query, world.dns.ip, port=world.dns.port, timeout=60)
    for rrset in answer.answer:
        return b"".join(rrset[0].strings)
    return None


def by_dkimpy(world, data):
    def txt(name, timeout=60):
        return _ask(world, name.decode() if isinstance(name, bytes) else name)

    good = []
    for i, s in enumerate(signatures(data)):
        try:
            if dkim.DKIM(data).verify(i, dnsfunc=txt):
                good.append((s["d"], s["s"], s["a"]))
        except dkim.DKIMException as e:
            print(f"dkimpy: {e}")
    return good


def by_mailauth(world, data):
    done = subprocess.run(
        ["node", str(SCRIPT), world.dns.ip, str(world.dns.port)],
        input=data,
        capture_output=True,
        timeout=60,
        env=npm.environment(),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"mailauth: {found}")
    return [
        (r["domain"], r["selector"], r["algorithm"])
        for r in found
        if r["result"] == "pass"
    ]


def verified(world, data):
    """The signatures that are good, to both."""
    one, other = by_dkimpy(world, data), by_mailauth(world, data)
    assert sorted(one) == sorted(other), (one, other)
    return sorted(one)
