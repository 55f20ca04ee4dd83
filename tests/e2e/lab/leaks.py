"""Every secret of a relay, and where it must not be found.

What is secret comes from the relay's configuration and environment, the files
they name, its users file, and what clients, providers and token endpoints of
the lab made up (`keep`).  It is looked for as it is, in base64 at each of the
three places it can have there, in hex and percent-encoded: in the log, in what
the relay says on stderr, in its arguments, and in what its API and `check`
show.
"""

import base64
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import urllib.parse

from . import relay as lab_relay

SHORTEST = 7  # less is found by chance

_kept = set()


def keep(secret):
    """Nobody may ever show it from now on.  Gives it back."""
    _kept.add(secret)
    return secret


# --- what is secret ---


def _of_pem(text):
    """A line from the middle of each private key."""
    for body in re.findall(r"PRIVATE KEY-----\n(.*?)\n-----END", text, re.S):
        lines = body.splitlines()
        yield lines[len(lines) // 2]


def _of_file(path):
    try:
        text = pathlib.Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        return
    if "-----BEGIN" in text:
        yield from _of_pem(text)
    elif "\n" not in text.strip():
        yield text.strip()


def _of_users(path):
    """Hashes, and the keys of SCRAM."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(path).read_text().splitlines():
            if ":" in line and not line.startswith("#"):
                yield from re.findall(r"[\w+/=.]{20,}", line.split(":")[1])


QUOTED = r'"((?:[^"\\]|\\.)*)"'
SETTING = re.compile(rf"\b(\w+)\s*=\s*(\{{[^}}]*\}}|{QUOTED})")


def _of_config(text):
    for setting in SETTING.finditer(text):
        key = setting[1]
        for value in re.findall(QUOTED, setting[2]):
            value = re.sub(r"\\(.)", r"\1", value)
            if key in ("password", "client_secret"):
                yield value
            elif key in ("key", "certificate") or key.endswith("_file"):
                yield from _of_file(value)
            elif key == "file":
                yield from _of_users(value)


def _of_environment(environ):
    for key, value in environ.items():
        if key.endswith("_FILE"):
            yield from _of_file(value)
        elif re.search("PASSWORD|SECRET|TOKEN", key) and "URL" not in key:
            yield value


def of(relay):
    """The secrets that this relay knows or was shown."""
    found = set(_kept)
    with contextlib.suppress(OSError):
        found.update(_of_config(relay.config_file.read_text()))
    found.update(_of_environment(relay.environ))
    state = pathlib.Path(relay.config.get("", {}).get("state_directory", "/none"))
    with contextlib.suppress(OSError):
        found.add((state / "login.key").read_bytes())
    return {s for s in found if len(s) >= SHORTEST}


def _forms(secret):
    raw = secret if isinstance(secret, bytes) else secret.encode()
    yield raw
    yield json.dumps(raw.decode("latin-1"), ensure_ascii=True)[1:-1].encode()
    yield urllib.parse.quote(raw, safe="").encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    # What stands in front of it shifts it; what stands behind changes the last.
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        inner = coded[4 if shift else 0 : len(coded) - 4]
        if len(inner) >= SHORTEST:
            yield inner


# --- where it may not be ---


def _ask(path, target):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        s.sendall(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        parts = []
        while part := s.recv(65536):
            parts.append(part)
        return b"".join(parts)


DOCUMENTS = ("/v1/status", "/metrics", "/v1/queue", "/v1/policies", "/v1/reports")


def documents(relay):
    """What a relay that runs shows of itself."""
    path = relay.config["control"]["socket"]
    mids = [e["mid"] for e in relay.log.find("message.accepted")[-3:]]
    traces = [f"/v1/messages/{mid}/trace" for mid in mids if mid]
    with contextlib.suppress(OSError):
        for target in (*DOCUMENTS, *traces):
            yield target, _ask(path, target)
    arguments = pathlib.Path(f"/proc/{relay.process.pid}/cmdline")
    with contextlib.suppress(OSError):
        yield "arguments", arguments.read_bytes()


def checked(relay):
    """What `check` shows, where there is something to mask."""
    text = relay.config_file.read_text()
    if not re.search("password|secret|token_file", text + str(relay.environ)):
        return
    for words in ((), ("--json",)):
        done = subprocess.run(
            [lab_relay.binary(), "check", "-c", str(relay.config_file), *words],
            capture_output=True,
            timeout=60,
            env=lab_relay.environment(**relay.environ),
        )
        yield " ".join(("check", *words)), done.stdout + done.stderr


def said(relay):
    """Its log, of each start, and what came besides."""
    for log in relay.logs:
        lines = [json.dumps(e, ensure_ascii=False) for e in log.events]
        yield "log", "\n".join(lines + log.garbage).encode("utf-8", "surrogateescape")
    for text in relay.complaints:
        yield "stderr", text.encode()


def leaks(secrets, places):
    """[(secret, place, what is around it)]"""
    found = []
    forms = {f for s in secrets for f in _forms(s)}
    for name, text in places:
        for form in forms:
            at = text.find(form)
            if at >= 0:
                around = text[max(0, at - 60) : at + len(form) + 20]
                found.append((form, name, around))
    return found
