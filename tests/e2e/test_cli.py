"""Every subcommand, as somebody at a terminal or a script uses it."""

import json
import os
import pty
import socket
import subprocess
import threading
import time

import pytest

from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import submit


class Shell:
    """Runs commands of the program against one relay."""

    def __init__(self, relay):
        self.relay = relay

    def __call__(self, *words, input="", program="sealpost", config=True, **env):
        words = list(words)
        if config:
            words += ["--config", str(self.relay.config_file)]
        return subprocess.run(
            [program, *words],
            executable=binary(),
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(**env),
        )

    def ok(self, *words, **options):
        done = self(*words, **options)
        assert done.returncode == 0, done
        return done.stdout

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    def sendmail(self, *words, input="Subject: hi\n\nhello\n", **env):
        """Options come first: after the addresses -- might stand."""
        config = ["--config", str(self.relay.config_file)]
        return self(
            *config, *words, input=input, program="sendmail", config=False, **env
        )

    def rows(self, *words):
        return self.json("queue", "list", *words)


@pytest.fixture(scope="module")
def relay(world):
    """What fails waits for an hour: long enough to be looked at."""
    r = world.relay({"retry": {"schedule": ["1h"]}})
    yield r
    r.close()


@pytest.fixture
def sh(relay):
    assert relay.is_up(), relay.stderr()
    return Shell(relay)


def eventually(what, timeout=PATIENCE):
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def deferred(world, sh, count=1):
    """A domain nobody answers for, and the id of a message to it."""
    domain = world.domain(world.nobody())
    ids = [submit(sh.relay, f"u{n}@{domain}") for n in range(count)]
    eventually(
        lambda: len(sh.rows("--domain", domain)) == count
        and all(r["state"] != "active" for r in sh.rows("--domain", domain))
        and any(r["last"] for r in sh.rows("--domain", domain))
    )
    return domain, ids


# --- words ---


def test_help_is_there_for_every_command(sh):
    overview = sh.ok("--help", config=False)
    names = [line[2:18].strip() for line in overview.splitlines() if line[:2] == "  "]
    assert len(names) > 15
    for name in names:
        out = sh.ok(*name.split(), "--help", config=False)
        assert out.startswith(f"usage: sealpost {name}")
        assert all(len(line) < 100 for line in out.splitlines()), out


@pytest.mark.parametrize(
    "words, near",
    [
        (["quue"], "queue"),
        (["queue", "lst"], "queue list"),
        (["policy", "shw"], "policy show"),
        (["status", "--jsn"], "--json"),
        (["queue", "hold", "--al"], "--all"),
        (["check", "--cofnig", "x"], "--config"),
    ],
)
def test_a_slip_is_64_and_names_what_was_meant(sh, words, near):
    done = sh(*words, config=False)
    assert done.returncode == 64
    assert near in done.stderr and "usage: sealpost" in done.stderr


def test_version_and_check(sh):
    text = sh.ok("version", config=False)
    told = json.loads(sh.ok("version", "--json", config=False))
    assert told["version"] in text and told["revision"] in text
    assert {"openssl", "sqlite", "libunbound", "libconfuse"} <= set(told["libraries"])
    assert "state_directory" in sh.ok("check")
    assert sh.json("check")["hostname"]["value"] == "relay.lab.test"


def test_check_names_every_error_and_exits_78(sh, tmp_path):
    bad = tmp_path / "bad.conf"
    bad.write_text('hostnam = "x"\nworkers = "many"\n')
    done = sh("check", "-c", str(bad), config=False)
    assert done.returncode == 78
    assert f"{bad}:1: " in done.stderr and "hostname" in done.stderr


# --- without a relay ---


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["queue", "retry", "--all"],
        ["queue", "explain", "1jn99zaw80"],
        ["policy", "refresh", "a.example"],
        ["reload"],
        ["drain"],
        ["queue", "list"],
    ],
)
def test_no_relay_is_69_and_one_line_with_the_socket(sh, tmp_path, words):
    path = str(tmp_path / "control.sock")
    done = sh(
        *words,
        config=False,
        SEALPOST_CONTROL__SOCKET=path,
        SEALPOST_STATE_DIRECTORY=str(tmp_path / "none"),
    )
    assert done.returncode == 69, done
    assert path in done.stderr and done.stderr.count("\n") == 1


def test_what_only_looks_works_without_a_relay(world, new_relay):
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    sh = Shell(relay)
    domain, (mid,) = deferred(world, sh)
    sts = world.sts(world.domain(world.peer()), mx=["mx.x.test"])
    submit(relay, f"a@{sts}")
    eventually(lambda: sh.json("policy", "list"))
    running = {
        words: sh.ok(*words)
        for words in [
            ("queue", "show", mid, "--json"),
            ("queue", "cat", mid),
            ("trace", mid, "--json"),
            ("policy", "show", sts, "--json"),
        ]
    }
    relay.stop()
    for words, out in running.items():
        done = sh(*words)
        assert done.returncode == 0 and done.stdout == out, words
        assert "no relay is running" in done.stderr
    assert [r["id"] for r in sh.rows("--domain", domain)] == [mid]
    assert sh("queue", "show", "0000000001").returncode == 66
    relay.start()  # looking has left nothing behind
    assert [r["id"] for r in sh.rows("--domain", domain)] == [mid]


def test_the_store_of_a_running_relay_is_left_alone(sh, tmp_path):
    done = sh("queue", "list", "--socket", str(tmp_path / "none.sock"))
    assert done.returncode == 69
    assert "but one holds" in done.stderr


# --- the queue ---


def test_the_queue_is_listed_and_filtered(world, sh):
    domain, ids = deferred(world, sh, 2)
    assert [r["id"] for r in sh.rows("--domain", domain)] == ids
    assert [r["id"] for r in sh.rows("--to", f"u1@{domain}")] == ids[1:]
    assert [r["id"] for r in sh.rows(ids[0])] == ids[:1]
    assert sh.rows("--domain", domain, "--state", "held") == []
    assert sh.rows("--domain", domain, "--older-than", "1h") == []
    assert sh.rows("--domain", domain, "--from", "@nobody.test") == []
    text = sh.ok("queue", "list", "--domain", domain)
    assert ids[0] in text and "2 recipients of 2 messages" in text
    assert "nothing matches" in sh.ok("queue", "list", "--to", "no@where.test")
    for words in (["--state", "lost"], ["--older-than", "5"], ["--to", "x"], ["?"]):
        assert sh("queue", "list", *words).returncode == 64, words


def test_one_message_is_shown_explained_and_printed(world, sh):
    domain, (mid,) = deferred(world, sh)
    text = sh.ok("queue", "show", mid)
    assert mid in text and f"u0@{domain}" in text and "deferred after 1 try" in text
    text = sh.ok("queue", "explain", mid)
    assert f"MX of {domain}" in text and "could not be reached" in text
    plan = sh.json("queue", "explain", mid)["recipients"][0]["plan"]
    assert plan["destination"] == domain and plan["failures"] >= 1
    assert "refused" in text
    assert sh.ok("queue", "cat", mid).startswith("Received: from ")
    assert sh("queue", "show", "0000000001").returncode == 66
    assert sh("queue", "show", "nonsense").returncode == 65
    assert sh("queue", "show").returncode == 64


def test_a_large_message_is_printed_whole(world, sh):
    domain = world.domain(world.nobody())
    body = "".join(f"line {n} of many\n" for n in range(20000))
    done = sh.sendmail("-f", "a@x.test", f"a@{domain}", input=f"Subject: s\n\n{body}")
    assert done.returncode == 0, done
    (row,) = eventually(lambda: sh.rows("--domain", domain))
    # Text mode: the CRLF of the queue are LF here.
    assert sh.ok("queue", "cat", row["id"]).endswith("\n\n" + body)


def test_hold_release_retry_delete(world, sh):
    domain, (mid,) = deferred(world, sh)
    assert "1 recipient would" in sh.ok("queue", "hold", mid, "--dry-run")
    assert sh.rows(mid)[0]["state"] == "deferred"
    assert "1 recipient held" in sh.ok("queue", "hold", mid)
    assert sh.rows(mid)[0]["state"] == "held"
    assert sh("queue", "retry", mid).returncode == 66  # it is held
    assert f"release {mid}" in sh.ok("queue", "explain", mid)
    sh.ok("queue", "release", "--domain", domain)
    eventually(lambda: sh.rows(mid)[0]["attempts"] == 2)
    eventually(lambda: sh.rows(mid)[0]["state"] == "deferred")
    sh.ok("queue", "retry", "--to", f"u0@{domain}")
    eventually(lambda: sh.rows(mid)[0]["attempts"] == 3)
    eventually(lambda: sh.rows(mid)[0]["state"] == "deferred")
    sh.ok("queue", "delete", mid)
    assert sh.rows(mid) == []
    assert sh("queue", "delete", mid).returncode == 66
    assert "finished" in sh.ok("queue", "show", mid)
    done = sh("queue", "cat", mid)
    assert done.returncode == 66 and "gone" in done.stderr


def test_a_change_says_which(sh):
    assert sh("queue", "delete").returncode == 64
    assert sh("queue", "delete", "--all", "1jn99zaw80").returncode == 64
    assert sh("queue", "delete", "--domian", "x.test").returncode == 64


def test_more_than_a_hundred_want_a_yes(world, sh):
    domain = world.domain(world.nobody())
    to = [f"u{n}@{domain}" for n in range(150)]
    assert sh.sendmail("-f", "a@x.test", *to).returncode == 0
    assert len(sh.rows("--domain", domain)) == 150
    done = sh("queue", "delete", "--domain", domain)
    assert done.returncode == 64 and "150" in done.stderr and "--yes" in done.stderr
    assert len(sh.rows("--domain", domain)) == 150
    eventually(
        lambda: not sh.rows("--domain", domain, "--state", "active")
    )
    sh.ok("queue", "delete", "--domain", domain, "--yes")
    assert sh.rows("--domain", domain) == []


def test_a_retry_reaches_a_host_that_has_come_back(world, sh):
    domain, (mid,) = deferred(world, sh)
    world.dns.drop(domain, "MX")
    world.dns.add(domain, "MX", f"10 {world.peer().host}.")
    sh.ok("reload")  # forgets what DNS said
    sh.ok("queue", "retry", mid)
    sh.relay.log.one("delivery.sent", mid=mid)


# --- trace and status ---


def test_a_trace_tells_of_each_try(world, sh):
    peer = world.peer()
    nobody = world.nobody()
    domain = world.domain(nobody, peer)
    world.sts(domain, mx=[nobody, peer])
    mid = submit(sh.relay, f"a@{domain}")
    sh.relay.log.one("delivery.sent", mid=mid)
    events = eventually(lambda: sh.json("trace", mid)["events"])
    assert events[0]["outcome"] is None and "refused" in events[0]["attempt"]["reply"]
    last = events[-1]
    assert last["outcome"] == "delivered" and last["to"] == f"a@{domain}"
    assert last["attempt"]["host"] == peer.host
    assert last["attempt"]["tls_version"].startswith("TLSv1.")
    text = sh.ok("trace", mid)
    for part in (peer.host, "mta-sts enforce", "TLSv1.", "verified", "250 ", "finished"):
        assert part in text, part
    assert sh("trace", "0000000001").returncode == 66


def test_status_fits_one_screen(world, sh):
    domain, _ = deferred(world, sh)
    text = sh.ok("status")
    assert "running, mode live" in text and len(text.splitlines()) < 60
    told = sh.json("status")
    assert told["state"] == "running" and told["queue"]["deferred"] >= 1
    assert told["counters"]["accepted"] >= 1
    blocked = {d["name"]: d for d in told["destinations"]["top"]}
    assert told["destinations"]["count"] > 20 or blocked[domain]["blocked_until"]


def test_colour_is_for_terminals_only(sh):
    def at_a_terminal(**env):
        master, slave = pty.openpty()
        done = subprocess.Popen(
            [binary(), "status", "-c", str(sh.relay.config_file)],
            stdout=slave,
            env=environment(TERM="xterm", **env),
        )
        os.close(slave)
        out = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            out += piece
        os.close(master)
        assert done.wait(10) == 0
        return out

    assert b"\033[" in at_a_terminal()
    assert b"\033[" not in at_a_terminal(NO_COLOR="1")
    assert "\033[" not in sh.ok("status")


# --- policies ---


def test_policies_are_listed_shown_refreshed_and_forgotten(world, sh):
    domain = world.sts(world.domain(world.peer()), mx=["*.test"])
    submit(sh.relay, f"a@{domain}")
    eventually(lambda: domain in [p["domain"] for p in sh.json("policy", "list")])
    assert "enforce" in sh.ok("policy", "list")
    text = sh.ok("policy", "show", domain.upper())
    assert "version: STSv1" in text and "*.test" in text
    world.sts(domain, mode="testing", mx=["*.test"], id="2")
    assert "testing" in sh.ok("policy", "refresh", domain)
    assert eventually(lambda: sh.json("policy", "show", domain)["mode"]) == "testing"
    sh.ok("policy", "forget", domain)
    assert sh("policy", "show", domain).returncode == 66
    assert sh("policy", "forget", domain).returncode == 66
    assert sh("policy", "show", "a b").returncode == 65
    assert "no policy" in sh.ok("policy", "refresh", world.domain(world.peer()))


# --- sendmail ---


def test_sendmail_takes_recipients_from_the_header(world, sh):
    domain = world.domain(world.peer())
    letter = (
        f"To: A <a@{domain}>, \"B, B\" <b@{domain}>\n"
        f"Bcc: c@{domain}\nSubject: hello\n\n.\nlast line"
    )
    done = sh.sendmail("-t", "-oi", "-f", "app@x.test", "-F", "App", input=letter)
    assert done.returncode == 0 and done.stdout == "", done
    got = world.ledger.one(domain=domain)
    assert sorted(got.rcpts) == [f"{u}@{domain}" for u in "abc"]
    assert "app@x.test" in got.mail
    header, body = got.data.split(b"\r\n\r\n", 1)
    assert b"Bcc" not in header and b'From: "App" <app@x.test>' in header
    assert b"Date: " in header and b"Message-ID: " in header
    assert body == b".\r\nlast line\r\n"


def test_without_i_a_dot_ends_the_message(world, sh):
    domain = world.domain(world.peer())
    done = sh.sendmail("-f", "a@x.test", f"a@{domain}", input="one\n.\ntwo\n")
    assert done.returncode == 0
    got = world.ledger.one(domain=domain)
    assert got.data.endswith(b"\r\n\r\none\r\n")


@pytest.mark.parametrize(
    "words, input, code",
    [
        ([], "x", 64),
        (["-Z", "a@x.test"], "x", 64),
        (["-t"], "Subject: nobody\n\nx\n", 64),
        (["no@"], "x", 67),
        (["-f", "bad@", "a@x.test"], "x", 65),
        (["-bd"], "x", 64),
        (["-N", "sometimes", "a@x.test"], "x", 64),
        (["a@x.test"], "no text: \0\n", 65),
    ],
)
def test_sendmail_says_by_its_exit_code_what_is_wrong(sh, words, input, code):
    before = sh.json("status")["counters"]["accepted"]
    words = ["-f", "me@x.test", *words] if "-f" not in words else words
    if not words[2:]:
        words = words[2:]
    done = sh.sendmail(*words, input=input)
    assert done.returncode == code, done
    assert done.stderr
    assert sh.json("status")["counters"]["accepted"] == before


def test_sendmail_is_all_or_nothing(world, new_relay):
    """RFC 3463 section 3.2: what is wrong with an address is class X.1."""
    domain = world.domain(world.peer())
    relay = new_relay({"access": {"recipient_domains": [domain]}})
    sh = Shell(relay)
    done = sh.sendmail("-f", "a@x.test", f"a@{domain}", "b@other.test")
    assert done.returncode in (67, 69), done
    assert "b@other.test" in done.stderr
    assert sh.json("status")["counters"]["accepted"] == 0


def test_sendmail_without_a_relay_is_75(sh):
    done = sh.sendmail("-f", "a@x.test", "b@x.test", SEALPOST_SMTP="127.0.0.1:1")
    assert done.returncode == 75 and "127.0.0.1:1" in done.stderr


def test_sendmail_speaks_smtp_on_stdin(world, sh):
    domain = world.domain(world.peer())
    done = sh.sendmail(
        "-bs",
        input=f"EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<b@{domain}>\n"
        "DATA\nSubject: s\n\nhello\n.\nQUIT\n",
    )
    assert done.returncode == 0
    assert "354 " in done.stdout and "queued as" in done.stdout
    assert done.stdout.rstrip().split("\n")[-1].startswith("221 ")
    world.ledger.one(domain=domain)


def test_mailq_and_postqueue(world, sh):
    domain, (mid,) = deferred(world, sh)
    lists = [
        sh.ok(program="mailq"),
        sh.ok("-p", program="postqueue"),
        sh.sendmail("-bp").stdout,
    ]
    for text in lists:
        assert text.startswith("-Queue ID-") and mid in text
        assert f"u0@{domain}" in text and "Request" in text
    lines = sh.ok("-j", program="postqueue").splitlines()
    one = next(q for q in map(json.loads, lines) if q["queue_id"] == mid)
    assert one["queue_name"] == "deferred"
    assert one["recipients"][0]["address"] == f"u0@{domain}"
    sh.ok("-i", mid, program="postqueue")
    eventually(lambda: sh.rows(mid)[0]["attempts"] >= 2)
    sh.ok("-f", program="postqueue")
    eventually(lambda: sh.rows(mid)[0]["attempts"] >= 3)
    assert sh("-p", "-f", program="postqueue").returncode == 64
    assert {"queue_name", "queue_id", "arrival_time", "message_size", "sender"} < set(one)
    assert one["arrival_time"] <= time.time() and one["sender"] == "app@sender.lab.test"
    assert "refused" in one["recipients"][0]["delay_reason"]
    assert sh.ok(program="newaliases", config=False) == ""


# --- its life ---


def test_reload_drain_and_healthcheck(world, new_relay):
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    sh = Shell(relay)
    for words in (["healthcheck"], ["healthcheck", "live"], ["healthcheck", "ready"]):
        assert sh.ok(*words) == ""
    assert sh("healthcheck", "well").returncode == 64
    assert "read again" in sh.ok("reload")
    good = relay.config_file.read_text()
    relay.config_file.write_text(good + "nonsense = 1\n")
    done = sh("reload", "--socket", relay.config["control"]["socket"])
    assert done.returncode == 78 and "nonsense" in done.stderr
    relay.config_file.write_text(good)
    deferred(world, sh)
    assert "deferred 1" in sh.ok("drain", "--wait", "5s")
    assert sh("healthcheck", "live").returncode == 0
    done = sh("healthcheck")
    assert done.returncode == 1 and "draining" in done.stderr
    assert sh.sendmail("-f", "a@x.test", "b@x.test").returncode == 0, "left for later"
    assert sh("reload").returncode == 78
    assert "draining" in sh.ok("status")
    relay.stop()
    assert sh("healthcheck", "live").returncode == 1


def test_requests_under_way_when_the_relay_ends(world, new_relay):
    """Whatever is asked at that moment, the end is an orderly one."""
    relay = new_relay({"retry": {"schedule": ["1h"]}})
    sh = Shell(relay)
    domain, _ = deferred(world, sh, 3)
    slow = world.domain(world.peer())
    for kind in ("MX", "TXT", "A"):
        world.dns.behave(f"_mta-sts.{slow}", "timeout", kind)
        world.dns.behave(slow, "timeout", kind)
    path = relay.config["control"]["socket"]
    over = threading.Event()

    def ask(method, target, body=""):
        while not over.is_set():
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path)
                    s.sendall(
                        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                    )
                    s.settimeout(0.3)
                    s.recv(4096)
            except OSError:
                time.sleep(0.001)

    asked = [
        ("POST", "/v1/queue/retry", '{"all": true}'),
        ("POST", f"/v1/policies/{slow}/refresh"),
        ("POST", f"/v1/policies/{domain}/forget"),
        ("GET", f"/v1/plan/{slow}"),
        ("GET", "/v1/status"),
        ("POST", "/v1/reload"),
    ]
    threads = [threading.Thread(target=ask, args=a) for a in asked * 2]
    try:
        for t in threads:
            t.start()
        for _ in range(3):
            time.sleep(0.7)
            relay.stop()
            relay.start()
    finally:
        over.set()
        for t in threads:
            t.join()


# --- which relay ---


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a /run of its own")
def test_a_relay_that_is_named_is_never_mistaken_for_the_usual_one(world, new_relay, relay):
    """It does not run, and at the usual place is another."""
    mine = new_relay({"retry": {"schedule": ["1h"]}})
    domain = world.domain(world.nobody())
    mid = submit(mine, f"bob@{domain}")
    eventually(lambda: Shell(mine).rows())
    mine.stop()
    usual = (
        "mount -t tmpfs none /run && mkdir /run/sealpost &&"
        f" ln -s {relay.config['control']['socket']} /run/sealpost/control.sock &&"
        ' exec "$@"'
    )

    def here(*words):
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", usual, "sh", binary(), *words],
            capture_output=True, text=True, timeout=60, env=environment(),
        )

    config = ("-c", str(mine.config_file))
    done = here("queue", "list", "--json", *config)
    assert [r["id"] for r in json.loads(done.stdout)] == [mid]
    done = here("queue", "delete", "--all", "--yes", *config)
    assert done.returncode == 69 and "no relay is running" in done.stderr
    assert here("healthcheck", *config).returncode == 1
    nothing = mine.folder / "nothing.conf"
    nothing.write_text('hostname = "relay.lab.test"\n')
    assert here("healthcheck", "-c", str(nothing)).returncode == 0
    done = here("drain", "-c", str(mine.folder / "mistyped.conf"))
    assert done.returncode == 69 and "mistyped.conf" in done.stderr


def test_a_configuration_with_a_mistake_still_says_where_its_relay_is(relay, tmp_path):
    socket_path = relay.config["control"]["socket"]
    broken = tmp_path / "broken.conf"
    broken.write_text(f'mode = "lively"\ncontrol {{ socket = "{socket_path}" }}\n')
    done = subprocess.run(
        [binary(), "status", "--json", "-c", str(broken)],
        capture_output=True, text=True, timeout=60, env=environment(),
    )
    assert json.loads(done.stdout)["pid"] == relay.process.pid, done
