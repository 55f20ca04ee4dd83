"""The container's image: what is in it, and how it runs without rights."""

import os
import re
import shlex
import smtplib
import subprocess

import pytest
import yaml

from conftest import ELSEWHERE, TOP, run
from image import Container
from lab.net import free_port

USERS = {"its own user": "65532:65532", "a user nobody knows": "1234567:0"}


def environment(world, host, port):
    return {
        "SEALPOST_HOSTNAME": "relay.container.test",
        "SEALPOST_LISTENER__APP__ADDRESS": f"127.0.0.1:{port}",
        "SEALPOST_HTTP__ADDRESS": "",
        "SEALPOST_RESOLVER__SERVERS": f"{world.dns.ip}:{world.dns.port}",
        "SEALPOST_RESOLVER__DNSSEC": "off",
        "SEALPOST_ROUTE__OUT__TO": "*",
        "SEALPOST_ROUTE__OUT__VIA": f"{host}:{world.mx_port}",
        "SEALPOST_ROUTE__OUT__TLS": "none",
    }


def quiet():
    return {
        "SEALPOST_HOSTNAME": "relay.container.test",
        "SEALPOST_LISTENER__APP__ADDRESS": f"127.0.0.1:{free_port()}",
        "SEALPOST_HTTP__ADDRESS": "",
    }


def send(port, recipient, host="127.0.0.1"):
    with smtplib.SMTP(host, port) as s:
        s.sendmail("app@container.test", [recipient], "Subject: hi\n\nHi.\n")


def test_the_image_says_how_it_is_run(image):
    c = image.config
    assert c["User"] == "65532:65532"
    assert c["Entrypoint"] == ["/usr/sbin/sealpost"], "no shell stands before it"
    assert c["Cmd"] == ["serve"]
    assert c["Healthcheck"]["Test"] == ["CMD", "/usr/sbin/sealpost", "healthcheck"]
    assert c["StopSignal"] == "SIGTERM"
    assert list(c["Volumes"]) == ["/var/lib/sealpost"]
    assert {"2525/tcp", "2587/tcp", "2465/tcp", "8025/tcp"} == set(c["ExposedPorts"])


def test_its_labels_tell_version_revision_licence_and_where_the_sbom_is(image):
    labels = image.config["Labels"]
    version = re.search(r" VERSION ([\d.]+) LANG", (TOP / "CMakeLists.txt").read_text())
    kind = "org.opencontainers.image."
    assert labels[kind + "version"] == version.group(1)
    assert labels[kind + "revision"] == "0123456789ab"
    assert labels[kind + "licenses"] == "Apache-2.0"
    sbom = image.root / labels["example.sealpost.sbom"].lstrip("/")
    assert sbom.read_text().startswith("{")


def test_it_holds_the_libraries_and_nothing_that_builds(image):
    out = run("chroot", image.root, "ldd", "/usr/sbin/sealpost")
    assert "not found" not in out
    for there in ("usr/share/dns/root.key", "etc/ssl/certs/ca-certificates.crt"):
        assert (image.root / there).exists(), there
    for gone in ("usr/bin/gcc", "usr/bin/cmake", "src", "packages", "var/spool/sealpost"):
        assert not (image.root / gone).exists(), gone
    assert not any((image.root / "var/lib/apt/lists").iterdir())


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
def test_it_relays_with_a_read_only_root_and_ends_at_sigterm(
    image, world, volume, user
):
    peer = world.peer(tls=False)
    port = free_port()
    c = Container(image, user, volume, environment(world, peer.ip, port))
    try:
        c.wait_until_healthy()
        assert c.execute("touch", "/run/x").returncode != 0, "the root is read-only"
        domain = world.name("container")
        send(port, f"you@{domain}")
        assert b"Subject: hi" in world.ledger.one(domain=domain).data
        drained = c.execute("/usr/sbin/sealpost", "drain", "--wait", "10s")
        assert drained.returncode == 0, drained
        listing = c.execute("/usr/sbin/sealpost", "queue", "list")
        assert "is empty" in listing.stdout, listing
        code, out = c.stop()
        assert code == 0, out
        assert (volume / "queue.db").exists()
    finally:
        c.kill()


def test_what_waits_in_the_volume_goes_on_in_the_next_container(image, world, volume):
    domain = world.name("later")
    port = free_port()
    c = Container(
        image, "65532:65532", volume, environment(world, "127.0.0.1", port)
    )
    try:
        c.wait_until_healthy()
        send(port, f"you@{domain}")
        assert c.stop()[0] == 0
    finally:
        c.kill()
    peer = world.peer(tls=False)
    c = Container(image, "65532:65532", volume, environment(world, peer.ip, port))
    try:
        c.wait_until_healthy()
        c.execute("/usr/sbin/sealpost", "queue", "retry", "--all")
        assert world.ledger.one(domain=domain)
    finally:
        c.kill()


def test_a_volume_of_somebody_else_is_said_by_name(image, volume):
    os.chown(volume, 4242, 4242)
    os.chmod(volume, 0o700)
    c = Container(image, "65532:65532", volume, quiet())
    out, _ = c.process.communicate(timeout=60)
    assert c.process.returncode not in (0, None)
    assert "/var/lib/sealpost" in out


# --- who may relay ---

TALK = f"""
import smtplib
s = smtplib.SMTP("{ELSEWHERE}", 2525, source_address=("{ELSEWHERE}", 0), timeout=60)
s.ehlo()
said = s.mail("app@container.test")
print(said if said[0] != 250 else s.rcpt("you@elsewhere.test"))
"""


def answer_to_others(image, volume, namespace, variables):
    """The reply to MAIL or RCPT by a client that isn't the container itself."""
    variables = {"SEALPOST_HOSTNAME": "relay.container.test", **variables}
    c = Container(image, "65532:65532", volume, variables, namespace)
    try:
        c.wait_until_healthy()
        return run("ip", "netns", "exec", namespace, "/usr/bin/python3", "-c", TALK)
    finally:
        c.kill()


def test_nobody_outside_the_container_relays_unless_it_is_said(
    image, volume, namespace
):
    answer = answer_to_others(image, volume, namespace, {})
    assert "554" in answer and "may not relay here (access.networks)" in answer


@pytest.mark.parametrize(
    "variable", ["SEALPOST_ACCESS__NETWORKS", "POSTFIX_mynetworks"]
)
def test_the_networks_that_are_named_relay(image, volume, namespace, variable):
    variables = {variable: f"127.0.0.0/8,{ELSEWHERE}/32"}
    answer = answer_to_others(image, volume, namespace, variables)
    assert answer.startswith("(250, ")


def test_all_networks_at_once_are_refused(image, volume, namespace):
    with pytest.raises(AssertionError, match="0.0.0.0/0"):
        answer_to_others(
            image, volume, namespace, {"SEALPOST_ACCESS__NETWORKS": "0.0.0.0/0"}
        )


# --- the example for compose ---


@pytest.fixture(scope="module")
def service():
    compose = yaml.safe_load((TOP / "etc/container/compose.yaml").read_text())
    return compose["services"]["relay"]


def test_the_compose_example_gives_it_no_right_and_one_volume(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["queue:/var/lib/sealpost"]
    folder = TOP / "etc/container" / service["build"]["context"]
    assert (folder / service["build"]["dockerfile"]).exists()


def test_the_variables_of_the_compose_example_are_understood(image, service, tmp_path):
    secret = tmp_path / "relayhost"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    variables = dict(
        service["environment"],
        RELAYHOST_PASSWORD_FILE=str(secret),
        STATE_DIRECTORY=str(tmp_path),
        PATH="/usr/sbin:/usr/bin",
    )
    program = image.root / "usr/sbin/sealpost"
    conf = image.root / "etc/sealpost/sealpost.conf"
    out = run(program, "check", "-c", conf, env=variables)
    assert '"smtp.provider.example:587"' in out
    assert '"0.0.0.0:2525"' in out


def test_every_step_of_the_dockerfile_was_taken(image):
    text = (TOP / "etc/container/Dockerfile").read_text().split("FROM debian:12-slim")
    steps = re.findall(r"^(?:LABEL|RUN|COPY|ENV|VOLUME|USER|EXPOSE)", text[-1], re.M)
    done = re.findall(r"STEP \d+/\d+: (?:LABEL|RUN|COPY|ENV|VOLUME|USER|EXPOSE)", image.log)
    assert len(done) >= len(steps) > 5


def test_the_run_is_that_of_an_engine(image, volume):
    """The control: in it a process is number one, and has no rights."""
    c = Container(image, "1234567:0", volume, quiet())
    try:
        c.wait_until_healthy()
        status = c.execute("cat", "/proc/1/status").stdout
        assert re.search(r"CapEff:\s+0+\n", status), status
        assert re.search(r"Uid:\s+1234567\s+1234567", status)
    finally:
        c.kill()
    assert isinstance(c.process.returncode, int)
    assert subprocess.run(["mountpoint", "-q", image.root / "proc"]).returncode != 0


# --- what the README says ---


@pytest.fixture(scope="module")
def readme():
    return (TOP / "etc/container/README.md").read_text()


def test_the_words_of_docker_run_are_enough(image, volume, readme):
    (command,) = re.findall(r"^docker run (.*?[^\\])\n", readme, re.M | re.S)
    words = shlex.split(command)
    assert words[-1] == "sealpost"
    assert "--read-only" in words and "--cap-drop" in words
    given = {a: b for a, b in zip(words, words[1:]) if a.startswith("-")}
    assert given["-v"] == "queue:/var/lib/sealpost"
    assert given["-p"].rsplit(":", 1)[1] + "/tcp" in image.config["ExposedPorts"]
    variables = [b for a, b in zip(words, words[1:]) if a == "-e"]
    given = dict(v.split("=", 1) for v in variables)
    c = Container(image, image.config["User"], volume, quiet() | given)
    try:
        c.wait_until_healthy()
        for words in re.findall(r"^docker exec relay (.*)$", readme, re.M):
            assert c.execute(*words.split()).returncode == 0, words
    finally:
        c.kill()


def test_the_reply_to_strangers_is_the_one_that_it_shows(
    image, volume, namespace, readme
):
    (shown,) = re.findall(r"^554 (.*)$", readme, re.M)
    answer = answer_to_others(image, volume, namespace, {})
    assert shown.replace("172.17.0.1", ELSEWHERE) in answer
