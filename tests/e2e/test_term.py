"""SIGTERM, whatever the relay is doing: it exits with 0 in the time it has,
loses nothing, and does nothing twice that no peer had in hand."""

import concurrent.futures
import datetime
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from lab import net
from lab import script as s
from lab.collector import Collector
from lab.hooks import Receiver, new_secret
from lab.logins import plain, user, users_file
from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import Wire, message, submit, waiting
from test_disk import fill, try_to_send
from test_tlsrpt import counted, wanted

DRAIN = 8  # seconds for what is under way
SMALL = 6  # for the rest, on a machine with other things to do
QUICK = 1  # where nothing is under way that is worth a wait
FOREVER = s.Sleep(40)

STATES = {}  # name -> (row, configuration, seconds)


def state(name, config=None, within=DRAIN):
    """A row of the table: a generator that brings the relay into a state, is
    suspended while it gets SIGTERM and ends, and goes on behind that.  What it
    yields is called in between."""

    def put(row):
        STATES[name] = (row, config or {}, within)
        return row

    return put


def http(relay, text):
    """A request on the control socket, and nothing read of the answer."""
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(PATIENCE)
    c.connect(relay.config["control"]["socket"])
    c.sendall(text.replace("\r\n", "\n").replace("\n", "\r\n").encode())
    return c


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the state is not reached"
        time.sleep(0.005)


def delivered_once(world, *rcpts):
    for rcpt in rcpts:
        world.ledger.one(rcpt)
    for rcpt in rcpts:
        assert len(world.ledger.of(rcpt)) == 1, rcpt


# --- nobody, and clients ---


@state("idle", within=QUICK)
def idle(world, relay):
    yield


@state("a client waits for its greeting", within=QUICK)
def before_the_greeting(world, relay):
    with Wire(relay.ip, 2526, greeting=None) as c:
        c.send(b"PROXY TCP4")
        yield
        assert c.read() is None or c.buffer


@state("a client shakes hands", within=QUICK)
def handshake(world, relay):
    with socket.create_connection((relay.ip, relay.smtps_port)) as implicit:
        implicit.sendall(b"\x16\x03\x01\x02\x00\x01")
        with Wire(relay.ip, relay.tls_port) as c:
            c.ready().say("STARTTLS", 220)
            c.send(b"\x16\x03\x01")
            yield


@state("a client waits for the next command", within=QUICK)
def between_commands(world, relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope("bob@nowhere.test")
        yield
        c.expect(421, "4.3.2")
        c.expect_end()


@state(
    "passwords are hashed",
    {
        'listener "app"': {"auth": "optional", "auth_in_clear": True},
    },
)
def hashing(world, relay):
    clients = [Wire(relay.ip, relay.port).ready() for _ in range(30)]
    for n, c in enumerate(clients):
        c.send(b"AUTH PLAIN " + plain("app", f"wrong {n}").encode() + b"\r\n")
    yield
    for c in clients:
        got = c.read()
        assert got is None or got[0] in (421, 535, 454), got
        c.sock.close()


@state("half a body has come")
def half_a_body(world, relay):
    with Wire(relay.ip, relay.port) as c:
        c.data("bob@nowhere.test")
        c.send(message()[:-3])
        yield
        got = c.read()
        assert got is None or got[0] == 421, got
    assert relay.start().queue() == []


@state("half a chunk has come")
def half_a_chunk(world, relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope("bob@nowhere.test")
        c.send(b"BDAT 1000\r\n" + message())
        yield
        got = c.read()
        assert got is None or got[0] == 421, got
    assert relay.start().queue() == []


@state("between two chunks")
def between_chunks(world, relay):
    with Wire(relay.ip, relay.port) as c:
        c.ready().envelope("bob@nowhere.test")
        c.send(b"BDAT 4\r\nA: b")
        c.expect(250)
        yield
    assert relay.start().queue() == []


@state("messages wait for their commit", within=QUICK)
def commit(world, relay):
    d = world.domain(world.peer())
    clients = [Wire(relay.ip, relay.port).data(f"u{n}@{d}") for n in range(40)]
    for c in clients:
        c.send(message() + b".\r\n")
    yield
    answers = [c.read() for c in clients]
    kept = [f"u{n}@{d}" for n, got in enumerate(answers) if got and got[0] == 250]
    assert len(kept) == len(clients), answers  # 8 seconds are enough
    relay.start()
    delivered_once(world, *kept)


# --- deliveries ---


def hung(world, relay, *steps, data=None):
    """A message at a host that goes so far and no further; the next
    connection is served."""
    peer = world.scripted([*steps, FOREVER], [*s.ACCEPT, *s.GOODBYE])
    d = world.domain(peer)
    submit(relay, f"bob@{d}", data=data)
    until(lambda: peer.connections)
    time.sleep(0.1)  # until its last step
    return peer


def goes_on(relay, peer, copies=1):
    relay.start()
    until(lambda: len(peer.bodies()) == copies)
    until(lambda: relay.queue() == [])
    assert len(peer.bodies()) == copies


@state("it connects", within=QUICK)
def connects(world, relay):
    """To a host whose queue of connections is full."""
    ip, host = net.address(), f"mx.{world.name()}"
    world.dns.put(host, "A", ip, ttl=1)
    d = world.domain(host, ttl=1)
    with socket.create_server((ip, world.mx_port), backlog=0):
        full = []
        for _ in range(3):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex((ip, world.mx_port))
            full.append(c)
        submit(relay, f"bob@{d}")
        until(lambda: world.dns.asked(host, "A"))
        time.sleep(0.1)
        yield
        for c in full:
            c.close()
    world.peer(d, tls=False)
    world.dns.put(d, "MX", f"10 {d}.", ttl=1)
    relay.start()
    delivered_once(world, f"bob@{d}")


@state("a peer says nothing", within=QUICK)
def no_greeting(world, relay):
    peer = hung(world, relay)
    yield
    goes_on(relay, peer)


@state("a peer does not shake hands", within=QUICK)
def no_handshake(world, relay):
    peer = hung(world, relay, s.GREETING, *s.EHLO_TLS, *s.STARTTLS)
    yield
    goes_on(relay, peer)


@state("a peer thinks about MAIL")
def after_mail(world, relay):
    peer = hung(world, relay, *s.OPEN, "MAIL")
    yield
    goes_on(relay, peer)


@state("a peer reads no further")
def within_data(world, relay):
    data = message(body=b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 150_000
    peer = hung(world, relay, *s.OPEN, *s.MAIL, *s.RCPT, "DATA", b"354 go\r\n", data=data)
    yield
    goes_on(relay, peer)


@state("a peer has the dot and is silent")
def after_the_dot(world, relay):
    """It is sent again: nobody can know."""
    peer = hung(world, relay, *s.SENT)
    until(peer.bodies)
    yield
    goes_on(relay, peer, copies=2)


@state("a peer has the dot and takes its time")
def slow_after_the_dot(world, relay):
    peer = world.scripted([*s.SENT, s.Sleep(3), b"250 2.0.0 kept\r\n"], [*s.ACCEPT])
    submit(relay, f"bob@{world.domain(peer)}")
    until(peer.bodies)
    yield
    assert relay.log.find("delivery.sent")
    relay.start()
    assert relay.queue() == [] and len(peer.bodies()) == 1


@state("many recipients are under way")
def many(world, relay):
    peer = world.peer()
    d = world.domain(peer)
    to = [f"u{n}@{d}" for n in range(200)]
    for n in range(0, len(to), 4):
        submit(relay, *to[n : n + 4])
    yield
    relay.start()
    world.ledger.wait(domain=d, count=50, timeout=60)
    until(lambda: relay.queue() == [])
    got = [r for m in world.ledger.of(domain=d) for r in m.rcpts]
    assert sorted(got) == sorted(to)


# --- what it asks others ---


@state("a policy is fetched", within=QUICK)
def policy_fetch(world, relay):
    mx = world.peer()
    d = world.sts(world.domain(mx), mx=[mx], delay=60)
    submit(relay, f"bob@{d}")
    until(lambda: world.policies.requests(d))
    yield
    world.sts(d, mx=[mx])
    relay.start()
    delivered_once(world, f"bob@{d}")


@state("DNS does not answer", {"resolver": {"timeout": "20s"}}, within=QUICK)
def dns_hangs(world, relay):
    d = world.domain(world.peer())
    world.dns.behave(d, "timeout")
    submit(relay, f"bob@{d}")
    until(lambda: world.dns.asked(d))
    yield
    world.dns.behave(d, None)
    relay.start()
    delivered_once(world, f"bob@{d}")


@state("a token is asked for", within=QUICK)
def token_fetch(world, relay):
    provider, tokens = world.provider(), world.tokens()
    provider.mechanisms, provider.tokens["us"] = ["XOAUTH2"], tokens.given
    tokens.answers = [None] * 5
    relay.write_config(
        {
            'route "out"': {
                "to": ["*"],
                "via": [f"{provider.host}:{provider.port}"],
                "auth": "xoauth2",
                "user": "us",
                "oauth": {
                    "token_url": tokens.url,
                    "ca": world.ca.path,
                    "client_id": "0000",
                    "client_secret": "a secret of a client",
                },
            }
        }
    )
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    rcpt = f"bob@{world.name()}"
    submit(relay, rcpt)
    until(lambda: tokens.asked)
    yield
    tokens.answers = []
    relay.start()
    delivered_once(world, rcpt)


class Silent(Collector):
    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.posts.append(head)
        await reader.read()
        writer.close()


@state("a report is handed over", within=QUICK)
def report_post(world, relay):
    host = f"tls.{world.name()}"
    silent = Silent(world.loop, world.ca.good(host), net.address(), net.free_port())
    world.dns.put(host, "A", silent.ip)
    d = wanted(world, world.domain(world.peer()), f"https://{host}:{silent.port}/")
    submit(relay, f"bob@{d}")
    counted(relay, d, 1, 0)
    day = datetime.datetime.utcnow().strftime("%Y-%m-%d")
    asked = threading.Thread(
        target=lambda: relay.cli("report", "send", day, check=False)
    )
    asked.start()
    until(lambda: silent.posts)
    yield
    asked.join()
    silent.close()
    relay.start()
    counted(relay, d, 1, 0)  # it is still to be told


# --- who asks it ---


@state("half a message has come over HTTP")
def half_an_inject(world, relay):
    body = message()
    with http(
        relay,
        "POST /v1/messages HTTP/1.1\nHost: localhost\nContent-Type: message/rfc822\n"
        f"X-Envelope-From: a@b.test\nX-Envelope-To: c@d.test\n"
        f"Content-Length: {len(body)}\n\nFrom: half",
    ):
        yield
    assert relay.start().queue() == []


@state("the other half comes over HTTP", within=QUICK)
def rest_of_an_inject(world, relay):
    d = world.domain(world.peer())
    body = message().decode()
    with http(
        relay,
        "POST /v1/messages HTTP/1.1\nHost: localhost\nContent-Type: message/rfc822\n"
        f"X-Envelope-From: a@b.test\nX-Envelope-To: bob@{d}\n"
        f"Content-Length: {len(body)}\n\n{body[:40]}",
    ) as c:
        time.sleep(0.1)
        yield lambda: c.sendall(body[40:].encode())
        answer = c.recv(4096).partition(b"\r\n")[0]
    assert b" 202 " in answer or b" 503 " in answer, answer
    relay.start()
    if b" 202 " in answer:
        delivered_once(world, f"bob@{d}")
    until(lambda: relay.queue() == [])
    assert len(world.ledger.of(domain=d)) == (b" 202 " in answer)


@state("a message over HTTP waits for its commit", within=QUICK)
def whole_inject(world, relay):
    d = world.domain(world.peer())
    calls = []
    for n in range(10):
        calls.append(
            http(
                relay,
                "POST /v1/messages HTTP/1.1\nHost: localhost\n"
                "Content-Type: message/rfc822\nX-Envelope-From: a@b.test\n"
                f"X-Envelope-To: u{n}@{d}\nContent-Length: 11\n\nA: b\n\nbody",
            )
        )
    yield
    answers = [c.recv(4096).partition(b"\r\n")[0] for c in calls]
    for c in calls:
        c.close()
    # Whoever gets no answer sends it again.
    assert all(b" 202 " in a or b" 503 " in a for a in answers), answers
    kept = [f"u{n}@{d}" for n, a in enumerate(answers) if b" 202 " in a]
    relay.start()
    delivered_once(world, *kept)
    until(lambda: relay.queue() == [])
    assert len(world.ledger.of(domain=d)) == len(kept)


@state("an answer is not read", within=QUICK)
def unread_answer(world, relay):
    waiting(world, relay, 20)
    calls = [
        http(relay, f"GET {path} HTTP/1.1\nHost: localhost\n\n" * 50)
        for path in ("/v1/queue", "/metrics", "/v1/status")
    ]
    time.sleep(0.1)
    yield
    for c in calls:
        c.close()


@state("somebody reads the events", within=QUICK)
def event_stream(world, relay):
    """To their end: the last one is of the relay's own."""
    d = world.domain(world.peer())
    with http(relay, "GET /v1/events HTTP/1.1\nHost: localhost\n\n") as c:
        submit(relay, f"bob@{d}")
        got = b""
        while b"message.accepted" not in got:
            got += c.recv(65536)
        yield
        while part := c.recv(65536):
            got += part
    assert b" 200 " in got
    relay.start()
    delivered_once(world, f"bob@{d}")


@state("a webhook does not answer", within=QUICK)
def webhook(world, relay):
    """What it was not told is told later."""
    receiver = Receiver()
    receiver.hold()
    secret = new_secret(relay.folder)
    hook = {"url": f"http://127.0.0.1:{receiver.port}/", "secret_file": str(secret)}
    relay.write_config({'webhook "app"': hook})
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload", result="ok")
    d = world.domain(world.peer())
    mid = submit(relay, f"bob@{d}")
    relay.log.one("delivery.sent", mid=mid)
    time.sleep(0.3)
    yield
    receiver.forget()
    relay.start()
    assert receiver.one("delivery.sent", mid=mid)
    receiver.close()
    delivered_once(world, f"bob@{d}")


@state("a probe is under way", within=QUICK)
def probe(world, relay):
    peer = world.scripted([FOREVER])
    d = world.domain(peer)
    asked = subprocess.Popen(
        [binary(), "probe", d, "--config", str(relay.config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
    )
    until(lambda: peer.connections)
    yield
    out, _ = asked.communicate(timeout=PATIENCE)
    assert asked.returncode in (69, 75), out


@state("a backup is under way", within=QUICK)
def backup(world, relay):
    d, host, mids = waiting(world, relay, 1)
    large = message(body=(b"z" * 998 + b"\r\n") * 4000)
    for n in range(4):
        submit(relay, f"large{n}@{d}", data=large)
    file = relay.folder / "copy"
    asked = subprocess.Popen(
        [binary(), "backup", str(file), "--config", str(relay.config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
    )
    state = pathlib.Path(relay.config[""]["state_directory"])
    until(lambda: (state / "queue.backup").exists() or file.exists())
    yield
    out, _ = asked.communicate(timeout=PATIENCE)
    assert (asked.returncode == 0) == file.exists(), out
    world.peer(host)
    relay.start()
    delivered_once(world, f"u0@{d}", *(f"large{n}@{d}" for n in range(4)))
    assert not list(state.glob("queue.backup*"))


@state("the queue is changed", within=QUICK)
def change(world, relay):
    d, host, mids = waiting(world, relay, 90)
    calls = [
        http(
            relay,
            f"POST /v1/queue/{verb} HTTP/1.1\nHost: localhost\n"
            'Content-Length: 13\n\n{"all": true}',
        )
        for verb in ("hold", "release", "retry") * 3
    ]
    yield
    for c in calls:
        c.close()
    world.peer(host)
    relay.start()
    relay.cli("queue", "release", "--all", check=False)
    relay.cli("queue", "retry", "--all", check=False)
    delivered_once(world, *(f"u{n}@{d}" for n in range(90)))


# --- its own life ---


@state("it reloads", within=QUICK)
def reload(world, relay):
    d, host, _ = waiting(world, relay, 3)
    for _ in range(5):
        relay.signal(signal.SIGHUP)
    yield
    world.peer(host)
    relay.start()
    delivered_once(world, *(f"u{n}@{d}" for n in range(3)))


@state("it drains by command", within=QUICK)
def drained(world, relay):
    d, host, _ = waiting(world, relay)
    relay.cli("drain")
    yield
    world.peer(host)
    relay.start()
    delivered_once(world, f"u0@{d}")


@state("it was asked before", within=QUICK)
def second(world, relay):
    peer = hung(world, relay, *s.OPEN, "MAIL")
    relay.signal(signal.SIGTERM)
    relay.log.one("drain")
    yield
    goes_on(relay, peer)


@state("the disk is full", within=QUICK)
def full(world, relay):
    d, host, _ = waiting(world, relay, 5)
    folder = pathlib.Path(f"/proc/{relay.process.pid}/root/{relay.folder}/state")
    fill(folder / "filler")
    with Wire(relay.ip, relay.port) as c:
        assert try_to_send(c.ready(), f"n@{d}", 200_000) == 452
    peer = world.peer(host)
    peer.delay = 0.3
    until(lambda: any(c.startswith("RCPT") for c in peer.commands))
    holder = os.open(folder, os.O_RDONLY)  # the tmpfs lives on
    yield
    # What was under way is recorded as done, in the room that is kept.
    sent = [e["to"] for e in relay.log.find("delivery.sent")]
    assert sorted(sent) == sorted(r for m in world.ledger.of(domain=d) for r in m.rcpts)
    assert sent
    copy = pathlib.Path(relay.config[""]["state_directory"])
    for source in pathlib.Path(f"/proc/self/fd/{holder}").iterdir():
        if source.is_file() and source.name != "filler":
            (copy / source.name).write_bytes(source.read_bytes())
    os.close(holder)
    relay.wrap = []
    relay.start()
    delivered_once(world, *(f"u{n}@{d}" for n in range(5)))


# --- the table ---


class Run:
    """One state and what came of it."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.row, self.config, self.within = STATES[name]
        self.relay = self.trouble = self.steps = self.took = self.code = None

    def guarded(self, step):
        try:
            if self.trouble is None:
                step()
        except BaseException as e:  # told by the test of this state
            self.trouble = e
        return self

    def make(self):
        self.relay = self.world.relay({"": {"workers": 1}, **self.config}, start=False)
        if self.row is before_the_greeting:
            self.relay.config['listener "behind"'] = {
                "address": f"{self.relay.ip}:2526",
                "proxy_from": ["127.0.0.0/8"],
            }
        if self.row is hashing:
            user(self.relay, "add", "app", "--senders", "*")
            self.relay.config["users"] = {"file": str(users_file(self.relay))}
        if self.row is full:
            state = self.relay.config[""]["state_directory"]
            self.relay.wrap = [
                *("unshare", "-m", "sh", "-c"),
                f'mount -t tmpfs -o size=96m none {state} && exec "$@"',
                "sh",
            ]
        self.relay.start()

    def enter_and_signal(self):
        self.steps = self.row(self.world, self.relay)
        then = next(self.steps)
        self.relay.signal(signal.SIGTERM)
        self.began = time.monotonic()
        if then:
            self.relay.log.one("drain")
            then()

    def wait(self):
        self.code = self.relay.wait(30)
        self.took = time.monotonic() - self.began

    def go_on(self):
        for _ in self.steps:
            pass
        self.relay.close()


def of_root(name):
    return name == "the disk is full"


@pytest.fixture(scope="module")
def runs(world):
    """All of them side by side: most wait for what never comes."""
    found = [Run(world, n) for n in STATES if os.geteuid() == 0 or not of_root(n)]
    with concurrent.futures.ThreadPoolExecutor(3) as few:
        list(few.map(lambda r: r.guarded(r.make), found))
    with concurrent.futures.ThreadPoolExecutor(len(found)) as many:
        ends = []
        for run in found:
            run.guarded(run.enter_and_signal)
            ends.append(many.submit(run.guarded, run.wait))
        concurrent.futures.wait(ends)
    with concurrent.futures.ThreadPoolExecutor(3) as few:
        list(few.map(lambda r: r.guarded(r.go_on), found))
    yield {run.name: run for run in found}
    for run in found:
        if run.relay:
            run.relay.discard()


@pytest.mark.parametrize("name", STATES)
def test_sigterm_when(runs, name):
    if name not in runs:
        pytest.skip("only root mounts a small disk")
    run = runs[name]
    print(f"{run.took} s")
    if run.trouble:
        raise run.trouble
    assert run.code == 0, "\n".join(run.relay.complaints)
    assert run.took < run.within + SMALL, run.took


def hears(pid, number):
    """Has the process a handler for the signal?"""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    caught = next(li for li in status.splitlines() if li.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it_in_order(world, new_relay, number):
    """From the first moment on: nothing else ends the first process of a
    container in time."""
    relay = new_relay(start=False)
    relay.start(ready=False)
    until(lambda: hears(relay.process.pid, number))
    relay.signal(number)
    assert relay.wait() == 0, relay.stderr()
    relay.start()
    d = world.domain(world.peer())
    submit(relay, f"bob@{d}")
    delivered_once(world, f"bob@{d}")
    relay.signal(number)
    assert relay.wait() == 0
