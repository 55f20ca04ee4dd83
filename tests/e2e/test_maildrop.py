"""What `sealpost send` leaves in a directory while no relay runs: nothing of it
is lost, nothing of it is mistaken for a message."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from lab.patience import PATIENCE
from lab.relay import binary, environment
from lab.send import SENDER
from test_disk import fill

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may")


def send(relay, *words, input="Subject: hi\n\nhello\n", wrap=(), **env):
    """As sendmail; wrap: a command to run it under."""
    if isinstance(input, str):
        input = input.encode()
    return subprocess.run(
        [*wrap, binary(), "send", "--config", str(relay.config_file), *words],
        input=input,
        capture_output=True,
        timeout=60,
        env=environment(**env),
    )


def drop_of(relay):
    return pathlib.Path(relay.config[""]["state_directory"]) / "maildrop"


def files(relay):
    return sorted(p.name for p in drop_of(relay).iterdir())


def gone(relay, *names):
    until = time.monotonic() + PATIENCE
    while set(names or files(relay)) & set(files(relay)):
        assert time.monotonic() < until, files(relay)
        time.sleep(0.02)


def left(relay, *words, **options):
    """Leaves a message, while the relay does not run; its file."""
    before = set(files(relay))
    done = send(relay, "-f", SENDER, *words, **options)
    assert done.returncode == 0, done
    (new,) = set(files(relay)) - before
    return new


@pytest.fixture
def relay(new_relay):
    """One that has run, and does not."""
    r = new_relay()
    r.stop()
    return r


# --- it arrives ---


def test_what_was_left_is_delivered_by_the_next_start(world, relay):
    d = world.domain(world.peer())
    name = left(relay, f"bob@{d}", f"eve@{d}")
    assert name.endswith(".mail")
    relay.start()
    got = world.ledger.one(f"bob@{d}")
    assert got.mail == SENDER and sorted(got.rcpts) == [f"bob@{d}", f"eve@{d}"]
    assert b"\r\n\r\nhello\r\n" in got.data and b"Message-ID: " in got.data
    assert "maildrop" in relay.log.one("message.accepted")["client"]
    gone(relay, name)
    time.sleep(0.3)
    assert len(world.ledger.of(domain=d)) == 1


def test_all_that_was_asked_for_comes_along(world, relay):
    d = world.domain(world.peer(dsn=True))
    body = b"Subject: gr\xc3\xbc\xc3\x9fe\n\n.\nm\xc3\xbcde\n"
    left(
        relay,
        *("-i", "-N", "success,failure", "-R", "hdrs", "-V", "order+7"),
        f"bob@{d}",
        input=body,
    )
    relay.start()
    got = world.ledger.one(domain=d)
    assert {"RET=HDRS", "ENVID=order+2B7"} <= set(got.mail_args)
    assert got.rcpt_args[0] == ["NOTIFY=SUCCESS,FAILURE"]
    assert got.data.endswith(b"\r\n\r\n.\r\nm\xc3\xbcde\r\n")


def test_a_large_message_and_many_recipients_come_through(world, relay):
    d = world.domain(world.peer())
    body = "Subject: large\n\n" + ("x" * 76 + "\n") * 60_000
    rcpts = [f"u{n}@{d}" for n in range(150)]
    done = send(relay, "-f", SENDER, *rcpts, input=body)
    assert done.returncode == 0, done
    assert len(files(relay)) == 2
    relay.start()
    for rcpt in (rcpts[0], rcpts[-1]):
        assert world.ledger.one(rcpt).data.count(b"x" * 76) == 60_000
    gone(relay)
    assert {r for g in world.ledger.of(domain=d) for r in g.rcpts} == set(rcpts)


def test_more_than_one_look_shows_comes_in_order(world, relay):
    d = world.domain(world.peer())
    made = left(relay, f"bob@{d}")
    text = (drop_of(relay) / made).read_bytes()
    (drop_of(relay) / made).unlink()
    for n in range(450):
        one = text.replace(b"bob@", b"u%03d@" % n)
        (drop_of(relay) / f"{n:012x}-x.mail").write_bytes(one)
    relay.start()
    relay.log.wait("message.accepted", count=450, timeout=60)
    gone(relay)
    assert len(relay.log.find("message.accepted")) == 450


def test_a_running_relay_finds_what_is_left(world, new_relay):
    relay = new_relay()
    d = world.sts(world.domain(p := world.peer(requiretls=True)), mx=[p])
    done = send(relay, "-v", "-f", SENDER, "-O", "requiretls=yes", f"bob@{d}")
    assert done.returncode == 0 and b"left in" in done.stdout, done
    got = world.ledger.one(domain=d)
    assert "REQUIRETLS" in got.mail_args and got.tls
    gone(relay)


def test_a_relay_that_drains_takes_it_when_it_is_back(world, new_relay):
    relay = new_relay()
    d = world.domain(world.peer())
    relay.cli("drain", "--wait", "1s", "--socket", relay.config["control"]["socket"])
    assert send(relay, "-f", SENDER, f"bob@{d}").returncode == 0
    time.sleep(0.3)
    assert len(files(relay)) == 1
    relay.stop()
    relay.start()
    world.ledger.one(domain=d)


# --- REQUIRETLS over a Unix socket ---


def test_requiretls_is_asked_for_over_a_unix_socket(world, new_relay, tmp_path):
    relay = new_relay({'listener "local"': {"address": f"unix:{tmp_path}/smtp"}})
    d = world.sts(world.domain(p := world.peer(requiretls=True)), mx=[p])
    done = send(relay, "-v", "-f", SENDER, "-O", "requiretls=yes", f"bob@{d}")
    assert done.returncode == 0 and b"queued as" in done.stdout, done
    assert "REQUIRETLS" in world.ledger.one(domain=d).mail_args
    bare = world.domain(world.peer(requiretls=True))
    done = send(relay, "-f", SENDER, "-O", "requiretls=yes", f"bob@{bare}")
    assert done.returncode == 0
    assert "5.7.10" in relay.log.one("delivery.bounced", to=f"bob@{bare}")["reply"]


def test_requiretls_without_any_way_is_69(new_relay):
    relay = new_relay({"maildrop": {"enabled": False}})
    done = send(relay, "-f", SENDER, "-O", "requiretls=yes", "bob@x.test")
    assert done.returncode == 69 and b"requiretls" in done.stderr


# --- it can't be left ---


def test_without_a_maildrop_it_is_75(new_relay):
    relay = new_relay({"maildrop": {"enabled": False}})
    relay.stop()
    done = send(relay, "-f", SENDER, "bob@x.test")
    assert done.returncode == 75 and b"can't be reached" in done.stderr


def test_a_relay_that_was_named_is_not_left_mail_for(relay):
    done = send(relay, "-f", SENDER, "bob@x.test", SEALPOST_SMTP="127.0.0.1:1")
    assert done.returncode == 75 and not files(relay)


AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@root_only
@pytest.mark.parametrize(
    "mode, code", [(0o700, 75), (0o1733, 75), (0o3733, 0), (0o3730, 75)]
)
def test_who_may_not_write_there_gets_75(world, new_relay, mode, code):
    relay = new_relay(start=False)
    drop = relay.folder / "drop"
    drop.mkdir()
    drop.chmod(mode)
    relay.folder.chmod(0o755)
    relay.config["maildrop"] = {"directory": str(drop)}
    # What only the relay may read keeps a user's client from its configuration.
    for section in ("policy", "tls", 'listener "tls"', 'listener "smtps"'):
        del relay.config[section]
    relay.write_config()
    d = world.domain(world.peer())
    done = send(relay, "-f", SENDER, f"bob@{d}", wrap=AS_NOBODY)
    assert done.returncode == code, done
    if code:
        assert str(drop) in done.stderr.decode() and not list(drop.iterdir())
        return
    relay.start()
    world.ledger.one(domain=d)
    assert "user 65534" in relay.log.one("message.accepted")["client"]


@root_only
def test_a_full_disk_is_75_and_leaves_nothing(world, relay, tmp_path):
    drop = drop_of(relay)
    script = (
        f"mount -t tmpfs -o size=64k none {drop} && "
        f"head -c 60000 /dev/zero >{drop}/filler; "
        f'"$@"; code=$?; ls -A {drop} >{tmp_path}/ls; exit $code'
    )
    done = send(
        relay,
        *("-f", SENDER, "bob@x.test"),
        input="Subject: x\n\n" + "y" * 40_000,
        wrap=["unshare", "-m", "sh", "-c", script, "sh"],
    )
    assert done.returncode == 75 and b"No space left" in done.stderr, done
    assert (tmp_path / "ls").read_text() == "filler\n"


# --- it can't be taken in ---


def test_what_is_no_message_is_set_aside(world, relay, tmp_path):
    d = world.domain(world.peer())
    drop = drop_of(relay)
    whole = (drop / left(relay, f"good@{d}")).read_bytes()
    bad = {
        "empty": b"",
        "text": b"hello\n",
        "nul": whole.replace(b"hello", b"he\0lo"),
        "bare-lf": whole.replace(b"hello\r\n", b"hello\nx"),
        "twice": whole + whole,
        "behind": whole + b"QUIT\r\n",
        "nobody": whole.replace(b"RCPT TO", b"NOOP"),
        "from": whole.replace(SENDER.encode(), b"a b"),
        "rcpt": whole.replace(f"good@{d}".encode(), b"@"),
        "param": whole.replace(b" SIZE", b" WRONG"),
        "long": b"EHLO " + b"x" * 5000 + b"\r\n" + whole,
        "binary": bytes(range(256)) * 400,
    }
    for name, text in bad.items():
        (drop / f"{name}.mail").write_bytes(text)
    for cut in range(0, len(whole), 7):
        (drop / f"cut-{cut:05}.mail").write_bytes(whole[:cut])
    (tmp_path / "secret").write_bytes(whole)
    (drop / "link.mail").symlink_to(tmp_path / "secret")
    os.link(tmp_path / "secret", drop / "hard.mail")
    os.mkfifo(drop / "pipe.mail")
    (drop / "dir.mail").mkdir()
    given = {n for n in files(relay)}
    relay.start()
    world.ledger.one(f"good@{d}")
    gone(relay, *given)
    good = {n for n in given if n + ".bad" not in files(relay)}
    assert len(good) == 1, good
    refused = relay.log.wait("maildrop.refused", count=len(given) - 1)
    assert {e["file"] for e in refused} == {n + ".bad" for n in given - good}
    assert all(e["reason"] and e["level"] == "warning" for e in refused)
    time.sleep(0.3)
    assert len(world.ledger.of(domain=d)) == 1
    (drop / "dir.mail.bad").rmdir()


def test_the_rules_for_senders_and_recipients_hold(world, new_relay):
    good = world.domain(world.peer())
    relay = new_relay(
        {
            "access": {
                "sender_domains": ["sender.lab.test"],
                "recipient_domains": [good],
                "message_size_max": "2K",
            }
        }
    )
    relay.stop()
    left(relay, f"bob@{good}")
    left(relay, f"bob@{good}", "bob@elsewhere.test")
    done = send(relay, "-f", "x@elsewhere.test", f"bob@{good}")
    assert done.returncode == 0
    large = "Subject: x\n\n" + "y\n" * 2000
    assert send(relay, "-f", SENDER, f"b@{good}", input=large).returncode == 69
    relay.start()
    world.ledger.one(domain=good)
    reasons = [e["code"] for e in relay.log.wait("maildrop.refused", count=2)]
    assert reasons == [550, 550] or set(reasons) <= {550, 551, 553, 554}
    assert len(world.ledger.of(domain=good)) == 1
    assert len([n for n in files(relay) if n.endswith(".bad")]) == 2


def test_set_aside_and_renamed_back_it_is_tried_again(world, new_relay):
    d = world.domain(world.peer())
    relay = new_relay({"access": {"recipient_domains": ["other.test"]}})
    relay.stop()
    name = left(relay, f"bob@{d}")
    relay.start()
    relay.log.one("maildrop.refused", file=f"{name}.bad")
    relay.write_config({"access": {"recipient_domains": []}})
    relay.signal(signal.SIGHUP)
    relay.log.one("config.reload")
    (drop_of(relay) / f"{name}.bad").rename(drop_of(relay) / name)
    world.ledger.one(domain=d)
    gone(relay)


@root_only
@root_only
def test_what_can_t_be_removed_is_taken_in_once(world, relay):
    d = world.domain(world.peer())
    left(relay, f"bob@{d}")
    drop = str(drop_of(relay))
    subprocess.run(["mount", "--bind", drop, drop], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", drop], check=True)
        relay.start()
        world.ledger.one(f"bob@{d}")
        relay.log.one("maildrop.trouble")
        time.sleep(11)  # two looks
        assert len(world.ledger.of(f"bob@{d}")) == 1
        subprocess.run(["mount", "-o", "remount,bind,rw", drop], check=True)
        gone(relay)
    finally:
        subprocess.run(["umount", "-l", drop], check=True)
    left_now = send(relay, "-f", SENDER, f"carol@{d}")
    assert left_now.returncode == 0
    world.ledger.one(f"carol@{d}")
    assert len(world.ledger.of(f"bob@{d}")) == 1


def test_while_the_queue_is_full_the_files_wait(world, new_relay):
    relay = new_relay(start=False)
    state = relay.folder / "state"
    drop = relay.folder / "drop"
    drop.mkdir(mode=0o700)
    relay.config["maildrop"] = {"directory": str(drop)}
    relay.wrap = [
        *("unshare", "-m", "sh", "-c"),
        f'mount -t tmpfs -o size=72m none {state} && exec "$@"',
        "sh",
    ]
    relay.start()
    inside = pathlib.Path(f"/proc/{relay.process.pid}/root{state}")
    fill(inside / "filler")
    d = world.sts(world.domain(p := world.peer(requiretls=True)), mx=[p])
    done = send(relay, "-f", SENDER, "-O", "requiretls=no", f"bob@{d}")
    assert done.returncode == 75, done
    relay.log.one("store.room", takes_mail=False)
    done = send(relay, "-f", SENDER, "-O", "requiretls=yes", f"bob@{d}")
    assert done.returncode == 0, done
    time.sleep(0.5)
    assert len(list(drop.iterdir())) == 1
    (inside / "filler").unlink()
    world.ledger.one(domain=d)


def test_a_directory_that_others_may_empty_stops_the_start(new_relay):
    relay = new_relay(start=False)
    drop = relay.folder / "drop"
    drop.mkdir()
    drop.chmod(0o777)
    relay.config["maildrop"] = {"directory": str(drop)}
    relay.start(ready=False)
    assert relay.wait() == 78
    assert "maildrop.directory" in relay.stderr() and "sticky" in relay.stderr()


# --- crashes ---


def test_kills_lose_nothing(world, relay):
    """Each message at least once, however often the relay is killed."""
    d = world.domain(world.peer())
    made = left(relay, f"bob@{d}")
    text = (drop_of(relay) / made).read_bytes()
    (drop_of(relay) / made).unlink()
    everybody = {f"u{n}@{d}" for n in range(120)}
    for n in range(120):
        one = text.replace(b"bob@", b"u%d@" % n)
        (drop_of(relay) / f"{n:012x}-x.mail").write_bytes(one)
    for pause in (0.0, 0.01, 0.02, 0.03, 0.05, 0.08):
        relay.start()
        time.sleep(pause)
        relay.kill()
    relay.start()
    until = time.monotonic() + PATIENCE
    while {r for g in world.ledger.of(domain=d) for r in g.rcpts} != everybody:
        assert time.monotonic() < until
        time.sleep(0.1)
    gone(relay)
