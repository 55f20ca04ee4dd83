"""The packages: installed into a clean Debian and run from there."""

import os
import re
import shutil
import smtplib
import subprocess
import time

from conftest import TOP, build, environment, run
from lab.net import free_port


class Service:
    """The relay of the package, as its unit starts it."""

    def __init__(self, debian, config):
        self.debian = debian
        debian.run("install", "-d", "-o", "sealpost", "-g", "sealpost", "/run/sealpost")
        (debian.root / "etc/sealpost/sealpost.conf").write_text(config)
        self.process = subprocess.Popen(
            debian.command("/usr/sbin/sealpost", "serve", user="sealpost:sealpost"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )
        self.wait_until_ready()

    def wait_until_ready(self):
        end = time.monotonic() + 60
        while True:
            try:
                self.debian.run("/usr/sbin/sealpost", "healthcheck", "ready")
                return
            except AssertionError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.process.kill()
                    raise AssertionError(self.process.stdout.read()) from None
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, out
        return out


def config(world, host, port):
    return f"""
hostname = "relay.package.test"
http {{ address = "" }}
listener "app" {{ address = "127.0.0.1:{port}" }}
resolver {{ servers = {{"{world.dns.ip}:{world.dns.port}"}} dnssec = "off" }}
route "out" {{ to = {{"*"}} via = {{"{host}:{world.mx_port}"}} tls = "none" }}
"""


def test_the_same_source_gives_the_same_bytes_in_another_place(packages, tmp_path):
    clone = tmp_path / "elsewhere"
    clone.mkdir()
    names = run("git", "-C", TOP, "ls-files", "-z").split("\0")
    for name in filter(None, names):
        target = clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, target, follow_symlinks=False)
    copy = shutil.copytree if (TOP / ".git").is_dir() else shutil.copy2
    copy(TOP / ".git", clone / ".git")
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    again = build(
        clone, tmp_path / "out", env=os.environ | elsewhere, umask=0o077
    )
    assert again.keys() == packages.keys() == {"sealpost", "sealpost-mta"}
    for name, deb in packages.items():
        assert deb.read_bytes() == again[name].read_bytes(), name


def test_the_package_brings_user_unit_manuals_and_configuration(debian):
    assert debian.run("id", "-un", "sealpost").strip() == "sealpost"
    stat = debian.run("stat", "-c", "%U:%G %a", "/var/lib/sealpost").strip()
    assert stat == "sealpost:sealpost 700"
    stat = debian.run("stat", "-c", "%U:%G %a", "/etc/sealpost/sealpost.conf").strip()
    assert stat == "root:sealpost 640"
    for path in (
        "usr/lib/systemd/system/sealpost.service",
        "usr/share/man/man8/sealpost.8.gz",
        "usr/share/man/man5/sealpost.conf.5.gz",
    ):
        assert (debian.root / path).exists() or path.startswith("usr/share/man"), path
    debian.run("/usr/sbin/sealpost", "check")


def test_each_command_has_a_page_and_so_have_its_other_names(packages):
    listed = {n: run("dpkg-deb", "-c", deb) for n, deb in packages.items()}
    for page in ("man8/sealpost.8", "man8/sealpost-queue.8", "man1/sealpost-send.1"):
        assert f"usr/share/man/{page}.gz" in listed["sealpost"]
    for name in ("sendmail", "mailq", "newaliases"):
        link = f"usr/share/man/man1/{name}.1.gz -> sealpost-send.1.gz"
        assert link in listed["sealpost-mta"]


def test_lintian_finds_nothing_to_say(packages):
    run("lintian", "--allow-root", "--fail-on", "warning", *packages.values())


def test_papers_examples_and_completions_are_where_they_are_looked_for(debian):
    share = debian.root / "usr/share"
    papers = {p.name for p in (TOP / "etc").glob("*.md")} | {"README.md"}
    there = {p.name for p in (share / "doc/sealpost").iterdir()}
    assert papers <= there
    for name, folder in (
        ("sealpost", "bash-completion/completions"),
        ("_sealpost", "zsh/vendor-completions"),
        ("sealpost.fish", "fish/vendor_completions.d"),
    ):
        text = (share / folder / name).read_text()
        assert "completion --words" in text, name
    examples = share / "doc/sealpost/examples"
    for path in ("container/Dockerfile", "sealpost.conf"):
        assert (examples / path).exists(), path


def test_the_service_starts_with_the_machine_and_the_socket_does_not(debian):
    wants = debian.root / "etc/systemd/system"
    assert (wants / "multi-user.target.wants/sealpost.service").is_symlink()
    assert not (wants / "sockets.target.wants").exists()


def test_the_socket_has_the_name_that_its_configuration_asks_for(debian):
    unit = (debian.root / "usr/lib/systemd/system/sealpost.socket").read_text()
    name = re.search(r"^FileDescriptorName=(\w+)$", unit, re.M).group(1)
    conf = re.search(r'listener .*"systemd:(\w+)"', unit)
    assert conf.group(1) == name


def test_systemd_hands_the_socket_over_and_the_relay_greets(debian, tmp_path):
    unit = (debian.root / "usr/lib/systemd/system/sealpost.socket").read_text()
    name = re.search(r"^FileDescriptorName=(.*)$", unit, re.M).group(1)
    port = free_port()
    process = subprocess.Popen(
        ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", f"--fdname={name}"]
        + ["-E", "SEALPOST_HOSTNAME=relay.package.test"]
        + ["-E", f"SEALPOST_LISTENER__APP__ADDRESS=systemd:{name}"]
        + ["-E", "SEALPOST_HTTP__ADDRESS="]
        + ["-E", f"STATE_DIRECTORY={tmp_path}", "-E", f"RUNTIME_DIRECTORY={tmp_path}"]
        + [str(debian.root / "usr/sbin/sealpost"), "serve"],
        stderr=subprocess.DEVNULL,
    )
    try:
        with smtplib.SMTP() as s:
            assert connected(s, port)[0] == 220
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def connected(client, port):
    end = time.monotonic() + 60
    while True:
        try:
            return client.connect("127.0.0.1", port)
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_the_sbom_names_every_library_that_is_loaded(debian, sbom):
    loaded = debian.run("ldd", "/usr/sbin/sealpost")
    packages = {p["name"]: p for p in sbom["packages"]}
    for path in re.findall(r"(/\S+) \(0x", loaded):
        owner = subprocess.run(
            debian.command("dpkg", "-S", path, "/usr" + path),
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        name = re.match(r"([^:,]+)", owner or "libc6").group(1)
        assert name in packages, path
    assert {"node-llhttp", "uthash-dev"} <= packages.keys(), "what is compiled in"


def test_the_sbom_is_spdx_2_3(sbom):
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", sbom["creationInfo"]["created"])
    for word in sbom["creationInfo"]["creators"]:
        assert re.match(r"(Tool|Organization|Person): .", word)
    ids = [p["SPDXID"] for p in sbom["packages"]] + [sbom["SPDXID"]]
    assert len(ids) == len(set(ids))
    for i in ids:
        assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i)
    for p in sbom["packages"]:
        assert p["name"] and p["versionInfo"] and p["downloadLocation"], p
        for ref in p["externalRefs"]:
            assert ref["referenceLocator"].startswith("pkg:deb/"), p
    kinds = {"DESCRIBES", "DYNAMIC_LINK", "STATIC_LINK", "DEPENDS_ON", "BUILD_TOOL_OF"}
    named = set()
    for r in sbom["relationships"]:
        assert r["relationshipType"] in kinds
        ends = {r["spdxElementId"], r["relatedSpdxElement"]}
        assert ends <= set(ids)
        named |= ends
    assert named == set(ids), "each is related to something"


def test_the_unit_is_hardened_and_sound(debian):
    unit = "/usr/lib/systemd/system/sealpost.service"
    out = run(
        "systemd-analyze", "security", "--offline=true", f"--root={debian.root}", unit
    )
    level = re.search(r"exposure level for sealpost.service: ([0-9.]+)", out)
    assert float(level.group(1)) < 1.5, out


def test_mail_flows_through_the_installed_relay_and_its_sendmail(debian, world):
    peer = world.peer(tls=False)
    port = free_port()
    service = Service(debian, config(world, peer.ip, port))
    try:
        debian.run(
            "/usr/sbin/sendmail",
            "-t",
            input="To: you@package.test\nFrom: me@package.test\nSubject: hi\n\nHi.\n",
        )
        got = world.ledger.one(domain="package.test")
        assert b"Subject: hi" in got.data
        debian.run("/usr/sbin/sealpost", "drain", "--wait", "10s")
        assert "is empty" in debian.run("/usr/bin/mailq").lower()
        assert debian.run("/usr/bin/newaliases") == ""
    finally:
        service.stop()


def test_what_waits_is_there_after_a_restart_as_the_unit_would_do_it(debian, world):
    port = free_port()
    service = Service(debian, config(world, "127.0.0.1", port))
    try:
        debian.run(
            "/usr/sbin/sendmail", "-f", "me@package.test", "later@waits.test",
            input="Subject: later\n\nLater.\n",
        )
    finally:
        service.stop()
    peer = world.peer(tls=False)
    service = Service(debian, config(world, peer.ip, port))
    try:
        # It may have gone already.
        subprocess.run(
            debian.command("/usr/sbin/sealpost", "queue", "retry", "--all")
        )
        assert world.ledger.one(domain="waits.test")
    finally:
        service.stop()


def test_an_upgrade_keeps_configuration_queue_and_what_an_administrator_said(
    debian, packages
):
    conf = debian.root / "etc/sealpost/sealpost.conf"
    before = conf.read_text()
    link = debian.root / "etc/systemd/system/multi-user.target.wants/sealpost.service"
    link.unlink()  # as systemctl disable does
    debian.run("dpkg", "-i", f"/tmp/{packages['sealpost'].name}")
    assert conf.read_text() == before and "relay.package.test" in before
    assert (debian.root / "var/lib/sealpost/queue.db").exists()
    assert not link.exists()


def test_removing_keeps_the_queue_and_purging_does_not(debian):
    debian.run("dpkg", "-r", "sealpost-mta", "sealpost")
    assert (debian.root / "var/lib/sealpost/queue.db").exists()
    assert not (debian.root / "usr/sbin/sendmail").is_symlink()
    debian.run("dpkg", "-P", "sealpost")
    assert not list((debian.root / "etc/systemd/system").rglob("sealpost*"))
    assert not (debian.root / "var/lib/sealpost").exists()
    assert not (debian.root / "etc/sealpost").exists()
