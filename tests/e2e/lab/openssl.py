"""Chains that the `openssl` command makes, root, intermediate and host, and
the TLSA records that it computes for them: nothing of lab/ca.py in it.

    maker = OpensslMaker(folder)
    chain = maker.chain("mx.a.lab")
    chain.path                          # key, host, intermediate, root
    chain.record("2 1 1")               # of the root
    chain.record("2 0 1", "middle")     # of the intermediate
"""

import pathlib
import subprocess

from .ca import Cert

EXTENSIONS = {
    "root": "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n",
    "middle": "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n",
    "leaf": "subjectAltName=DNS:{}\nextendedKeyUsage=serverAuth\n",
}
DIGESTS = {1: "-sha256", 2: "-sha512"}
DAYS = "30"


def _openssl(*words, stdin=None):
    return subprocess.run(
        ["openssl", *map(str, words)], input=stdin, check=True, capture_output=True
    ).stdout


class _Chain(Cert):
    """`files` are certificates by their place: leaf, middle, root."""

    def __init__(self, path, files):
        super().__init__(path)
        self._files = files

    def record(self, kind, of=None):
        """kind "3 1 1": of the host, "2 1 1": of the root, if of says no
        other."""
        usage, selector, matching = map(int, kind.split())
        file = self._files[of or {2: "root", 3: "leaf"}[usage]]
        if selector == 0:
            data = _openssl("x509", "-in", file, "-outform", "DER")
        else:
            key = _openssl("x509", "-in", file, "-noout", "-pubkey")
            data = _openssl("pkey", "-pubin", "-outform", "DER", stdin=key)
        if matching:
            data = _openssl("dgst", DIGESTS[matching], "-binary", stdin=data)
        return f"{kind} {data.hex()}"


class OpensslMaker:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "openssl"
        self.folder.mkdir()
        self._count = 0
        self._root = self._issue("root", "Lab root", None)
        self._middle = self._issue("middle", "Lab intermediate", self._root)

    def _issue(self, place, name, issuer):
        """A new key, and its certificate: their common stem."""
        self._count += 1
        stem = self.folder / f"{place}-{self._count}"
        key, request = f"{stem}.key", f"{stem}.csr"
        extensions = pathlib.Path(f"{stem}.ext")
        extensions.write_text(EXTENSIONS[place].format(name))
        _openssl(
            *("req", "-new", "-nodes", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-keyout", key, "-out", request, "-subj", f"/CN={name}"),
        )
        signer = ["-signkey", key]
        if issuer:
            signer = ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key"]
            signer += ["-CAcreateserial"]
        _openssl(
            *("x509", "-req", "-in", request, *signer, "-days", DAYS),
            *("-extfile", extensions, "-out", f"{stem}.crt"),
        )
        return stem

    def chain(self, name, sent=("leaf", "middle", "root")):
        """sent: what of it the host sends."""
        leaf = self._issue("leaf", name, self._middle)
        stems = {"leaf": leaf, "middle": self._middle, "root": self._root}
        files = {place: f"{stem}.crt" for place, stem in stems.items()}
        text = pathlib.Path(f"{leaf}.key").read_text()
        text += "".join(pathlib.Path(files[place]).read_text() for place in sent)
        path = pathlib.Path(f"{leaf}-{len(sent)}.pem")
        path.write_text(text)
        path.chmod(0o600)
        return _Chain(path, files)
