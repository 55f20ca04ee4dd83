"""The numbers at /metrics, read as monitoring reads them: Prometheus' own
promtool is the judge of the text."""

import collections
import pathlib
import re
import subprocess
import threading
import time
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lab.net import free_port
from lab.patience import PATIENCE
from lab.script import GOODBYE, SENT
from lab.send import Wire, submit

METRICS = pathlib.Path(__file__).parents[2] / "etc/metrics.md"


@pytest.fixture
def watched(world, new_relay):
    port = free_port()
    relay = new_relay({"http": {"address": f"127.0.0.1:{port}"}})
    return relay, f"http://127.0.0.1:{port}/metrics"


def page(url, accept=None):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def numbers(url):
    """{'name{labels}': value}; what mail has done is summed over its sites"""
    lines = (l for l in page(url)[1].splitlines() if not l.startswith("#"))
    sums = collections.Counter()
    for name, value in (l.rsplit(" ", 1) for l in lines):
        sums[re.sub(r',dest="[^"]*"', "", name)] += float(value)
    return sums


def until(url, name, value):
    end = time.monotonic() + PATIENCE
    while (got := numbers(url)[name]) != value:
        assert time.monotonic() < end, (name, value, got)
        time.sleep(0.05)


def test_promtool_finds_nothing_to_say_of_the_page(world, watched):
    relay, url = watched
    submit(relay, f"bob@{world.domain(world.peer())}")
    until(url, 'sealpost_deliveries_total{result="sent",route="mx",class="2"}', 1)
    media_type, text = page(url)
    assert media_type.startswith("text/plain; version=0.0.4")
    said = subprocess.run(
        ["promtool", "check", "metrics"], input=text, text=True, capture_output=True
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def listed():
    """{(name, type): labels}, as etc/metrics.md has it"""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", METRICS.read_text(), re.M)
    # Values are not in backquotes; labels are.
    return {(name, kind): set(re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows}


def shown(text):
    """The same, as a page has it; None: there is no series yet."""
    found = dict.fromkeys(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.M):
        for family in found:
            suffix = "(_bucket|_sum|_count)" if family[1] == "histogram" else ""
            if re.fullmatch(family[0] + suffix, name):
                names = set(re.findall(r'(\w+)="', labels)) - {"le"}
                found[family] = names if found[family] is None else found[family] | names
    return found


def test_every_metric_is_listed_and_every_listed_one_is_there(world, watched):
    relay, url = watched
    submit(relay, f"bob@{world.domain(world.peer())}")
    until(url, 'sealpost_deliveries_total{result="sent",route="mx",class="2"}', 1)
    there, said = shown(page(url)[1]), listed()
    assert there.keys() == said.keys()
    assert len(there) > 50
    for family, labels in there.items():
        assert labels is None or labels == said[family], family


def test_openmetrics_is_for_those_who_ask_for_it(watched):
    media_type, text = page(watched[1], "application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert "# TYPE sealpost_messages_accepted counter\n" in text
    names = {family.name for family in text_string_to_metric_families(text)}
    assert len(names) > 50 and "sealpost_queue_oldest_seconds" in names


def test_what_becomes_of_mail_is_counted(world, watched):
    relay, url = watched
    good = world.domain(world.peer())
    faulty = world.peer(cert=world.stranger.good("elsewhere.test"))
    strict = world.sts(world.domain(faulty), mx=[faulty])
    submit(relay, f"bob@{good}")
    submit(relay, f"bob@{strict}")
    submit(relay, f"bob@{world.name()}")  # no such domain
    until(url, 'sealpost_deliveries_total{result="bounced",route="mx",class="5"}', 1)
    until(url, 'sealpost_deliveries_total{result="deferred",route="mx",class="4"}', 1)
    until(url, 'sealpost_tls_policy_total{policy="mta-sts",mode="enforce",result="failed"}', 1)
    got = numbers(url)
    assert got['sealpost_messages_accepted_total{listener="app"}'] == 3
    assert got['sealpost_tls_policy_total{policy="opportunistic",mode="none",result="met"}'] == 1
    assert got['sealpost_delivery_failures_total{reason="tls",route="mx"}'] == 1
    assert got['sealpost_delivery_delay_seconds_count{result="sent",route="mx"}'] == 1
    assert got['sealpost_sts_fetch_total{result="ok"}'] == 1
    assert got["sealpost_policy_refusals_total"] >= 1
    # The notice of the bounce may be there as well.
    assert got['sealpost_queue_recipients{state="deferred"}'] >= 1
    assert got['sealpost_queue_messages{state="deferred"}'] >= 1
    assert got['sealpost_queue_bytes{state="deferred"}'] > 0
    assert got['sealpost_queue_oldest_seconds{state="deferred"}'] > 0


def in_queue(url, what):
    """{state: number}, without the states that nobody is in"""
    prefix = f"sealpost_queue_{what}{{"
    found = {k: v for k, v in numbers(url).items() if k.startswith(prefix)}
    assert len(found) == 5  # as etc/metrics.md says
    return {re.search(r'state="(\w+)"', k)[1]: v for k, v in found.items() if v}


def test_the_states_of_the_queue_add_up_while_a_host_keeps_its_word_back(world, new_relay):
    port = free_port()
    relay = new_relay(
        {"http": {"address": f"127.0.0.1:{port}"}, "retry": {"schedule": ["10m"]}}
    )
    url = f"http://127.0.0.1:{port}/metrics"
    said = threading.Event()
    script = [*SENT, lambda _: said.wait(PATIENCE), b"250 2.0.0 kept\r\n", *GOODBYE]
    slow = world.domain(world.scripted(script))
    peer = world.peer()
    peer.replies["RCPT"] = lambda _: "452 4.2.2 full"
    full = world.domain(peer)
    try:
        first = submit(relay, f"full@{full}")
        # The first of the two leads the message, however the other one fares.
        submit(relay, f"bob@{slow}", f"full@{full}")
        until(url, 'sealpost_queue_recipients{state="deferred"}', 2)
        until(url, 'sealpost_queue_recipients{state="in_doubt"}', 1)
        assert in_queue(url, "recipients") == {"deferred": 2, "in_doubt": 1}
        assert in_queue(url, "messages") == {"deferred": 1, "in_doubt": 1}
        octets = in_queue(url, "bytes")
        assert octets.keys() == {"deferred", "in_doubt"}
    finally:
        said.set()
    # Now the one that is left leads it.
    until(url, 'sealpost_queue_messages{state="deferred"}', 2)
    assert in_queue(url, "recipients") == {"deferred": 2}
    assert in_queue(url, "bytes") == {"deferred": sum(octets.values())}
    relay.cli("queue", "hold", first)
    assert in_queue(url, "messages") == {"deferred": 1, "held": 1}
    relay.cli("queue", "delete", "--yes", first)
    assert in_queue(url, "messages") == {"deferred": 1}


def test_a_client_that_is_refused_is_counted_by_the_reply(watched):
    relay, url = watched
    relay.write_config({"access": {"recipient_domains": ["good.test"]}})
    relay.signal(1)
    until(url, 'sealpost_config_reloads_total{result="ok"}', 1)
    with Wire(relay.ip, relay.port) as w:
        w.ready()
        w.say("MAIL FROM:<a@b.test>", 250)
        w.say("RCPT TO:<bob@bad.test>", 550)
    got = numbers(url)
    assert got['sealpost_smtp_connections_accepted_total{listener="app"}'] == 1
    assert got['sealpost_messages_rejected_total{reason="access",code="550"}'] == 1


def test_probes_say_what_they_look_at(watched):
    relay, url = watched
    base = url.removesuffix("/metrics")
    for path in ("/livez", "/healthz", "/readyz"):
        assert page(base + path)[1] == "ok\n"
    lines = page(base + "/readyz?verbose")[1].splitlines()
    assert lines == [
        "[+]listeners ok",
        "[+]store ok",
        "[+]disk ok",
        "[+]loops ok",
        "[+]store-thread ok",
        "readyz check passed",
    ]
    assert page(base + "/livez?verbose")[1].endswith("livez check passed\n")


def test_a_failed_reload_shows(watched):
    relay, url = watched
    name = "sealpost_config_last_reload_successful"
    assert numbers(url)[name] == 1
    good = relay.config_file.read_text()
    relay.config_file.write_text(good + '\nnonsense = "x"\n')
    relay.signal(1)
    until(url, name, 0)
    relay.config_file.write_text(good)
    relay.signal(1)
    until(url, name, 1)
    assert numbers(url)['sealpost_config_reloads_total{result="failed"}'] == 1
