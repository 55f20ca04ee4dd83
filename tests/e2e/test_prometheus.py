"""A real Prometheus scrapes relays, takes the alert rules, and is asked what the
dashboard asks."""

import itertools
import json
import pathlib
import re
import smtplib
import urllib.error
import urllib.request

import pytest

from lab.logins import WRONG, user, users_file
from lab.net import address
from lab.patience import PATIENCE
from lab.prometheus import Prometheus
from lab.send import insecure, submit

ETC = pathlib.Path(__file__).parents[2] / "etc"
RULES = ETC / "prometheus/alerts.yaml"
DASHBOARD = json.loads((ETC / "grafana/sealpost.json").read_text())
ROWS = [
    "Overview",
    "Queue",
    "Destinations",
    "TLS policy",
    "Submission",
    "Storage",
    "OAuth and certificates",
    "Process",
]

# What no mail of these tests has to do with: no series, so nothing to show.
DARK = {
    "sealpost_config_reloads_total",
    "sealpost_oauth_refresh_total",
    "sealpost_oauth_token_expiry_timestamp_seconds",
    "sealpost_requiretls_total",
    "sealpost_storage_errors_total",
    "sealpost_throttled_seconds_total",
    "sealpost_tlsrpt_reports_total",
    "sealpost_tlsrpt_sessions_total",
    "sealpost_webhook_backlog",
    "sealpost_webhook_deliveries_total",
}


def panels():
    return [p for p in DASHBOARD["panels"] if p["type"] != "row"]


def expressions():
    return [t["expr"] for p in panels() for t in p["targets"]]


# --- relays with some past, and who watches them ---


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("prometheus") / "token"
    file.write_text("a-token-for-the-monitoring")
    file.chmod(0o600)
    return file


def start(world, token_file, config):
    where = f"{address()}:8025"
    http = {"address": where, "token_file": str(token_file)}
    relay = world.relay({"http": http, **config}, start=False)
    return relay, where


def be_refused(relay):
    with smtplib.SMTP(relay.ip, relay.port, "client.lab.test", 20) as c:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            c.login("app", WRONG)
    context = insecure()
    with smtplib.SMTP_SSL(relay.ip, relay.smtps_port, context=context) as c:
        c.ehlo()
        assert c.mail("app@app.example")[0] == 530


@pytest.fixture(scope="module")
def live(world, token_file):
    """Some of its mail is sent, deferred, bounced, refused; by a route, too."""
    provider = world.peer()
    relay, where = start(
        world,
        token_file,
        {
            'listener "app"': {"auth": "optional", "auth_in_clear": True},
            'listener "smtps"': {"auth": "required"},
            'route "partner"': {
                "to": ["@partner.test"],
                "via": [f"{provider.host}:{world.mx_port}"],
            },
        },
    )
    relay.config["users"] = {"file": str(users_file(relay))}
    user(relay, "add", "app", "--senders", "@app.example")
    relay.start()
    faulty = world.peer(cert=world.stranger.good("elsewhere.test"))
    strict = world.sts(world.domain(faulty), mx=[faulty])
    relay.history = {
        "good": world.domain(world.peer()),
        "strict": strict,
        "clear": world.domain(world.peer(tls=False)),
        "none": world.name(),
        "route": "partner.test",
    }
    yield relay, where
    relay.stop()


@pytest.fixture(scope="module")
def sink(world, token_file):
    relay, where = start(world, token_file, {"": {"mode": "sink"}})
    relay.start()
    yield where
    relay.stop()


@pytest.fixture(scope="module")
def prometheus(live, sink, token_file, tmp_path_factory):
    """It sees the mail come: a rate wants to see a counter grow."""
    soon = tmp_path_factory.mktemp("rules") / "soon.yaml"
    soon.write_text(RULES.read_text().replace("for: 15m", "for: 1s"))
    assert soon.read_text() != RULES.read_text()
    p = Prometheus([live[1], sink], token_file, [soon])
    try:
        p.until(lambda: len(p.query("up == 1")) == 2)
        for _ in range(2):
            be_refused(live[0])
            for domain in live[0].history.values():
                submit(live[0], f"bob@{domain}", port=live[0].tls_port, starttls=True)
        sent = 'sealpost_deliveries_total{result="sent",route="partner"} == 2'
        p.until(lambda: p.query(sent))
        p.until(lambda: p.query("rate(sealpost_sts_fetch_total[10s])"))
        yield p
    finally:
        p.close()


# --- what it sees ---


def test_both_relays_are_scraped_with_their_token(prometheus, live, sink):
    up = {labels["instance"]: value for labels, value in prometheus.query("up")}
    assert up == {live[1]: 1, sink: 1}


def ask(where, path, host, **fields):
    url = f"http://{where}{path}"
    request = urllib.request.Request(url, headers={"Host": host, **fields})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code


def test_who_brings_the_token_may_call_the_relay_by_any_name(sink, token_file):
    token = {"Authorization": f"Bearer {token_file.read_text()}"}
    assert ask(sink, "/metrics", "sealpost:8025", **token) == 200
    assert ask(sink, "/metrics", "sealpost:8025", Authorization="Bearer x") == 421
    assert ask(sink, "/metrics", "sealpost:8025") == 421
    assert ask(sink, "/metrics", sink) == 401
    assert ask(sink, "/metrics", "x", Origin="http://evil.example", **token) == 403
    assert ask(sink, "/readyz?verbose", "sealpost:8025") == 200


def test_the_rules_are_in_force(prometheus):
    rules = prometheus.until(prometheus.rules)
    assert len(rules) == RULES.read_text().count("- alert:")
    prometheus.until(lambda: all(r["health"] == "ok" for r in prometheus.rules()))


def test_a_mode_that_is_not_live_fires_for_that_relay_alone(prometheus, sink):
    def firing():
        return [
            a
            for a in prometheus.alerts()
            if a["state"] == "firing" and a["labels"]["alertname"] == "SealpostModeNotLive"
        ]

    (alert,) = prometheus.until(firing)
    assert alert["labels"]["instance"] == sink
    assert alert["labels"]["severity"] == "warning"
    assert alert["annotations"]["description"] == f"{sink} is in mode sink or redirect."


# --- the dashboard ---


def test_the_dashboard_has_its_rows_and_variables():
    rows = [p["title"] for p in DASHBOARD["panels"] if p["type"] == "row"]
    assert rows == ROWS
    names = {v["name"]: v["type"] for v in DASHBOARD["templating"]["list"]}
    assert names == {"datasource": "datasource", "instance": "query"}
    assert DASHBOARD["schemaVersion"] >= 30 and DASHBOARD["uid"] == "sealpost"


def test_each_panel_can_be_found_read_and_seen():
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    source = {"type": "prometheus", "uid": "${datasource}"}
    for p in panels():
        assert p["title"] and p["type"] in ("stat", "timeseries"), p["id"]
        assert p["datasource"] == source and p["fieldConfig"]["defaults"]["unit"]
        refs = [t["refId"] for t in p["targets"]]
        assert refs and len(set(refs)) == len(refs), p["title"]
        assert all(t["datasource"] == source for t in p["targets"])
        assert all(t["legendFormat"] for t in p["targets"]), p["title"]
    titles = [p["title"] for p in panels()]
    assert len(set(titles)) == len(titles)


def test_no_panel_lies_over_another():
    def overlap(a, b):
        return (
            a["x"] < b["x"] + b["w"]
            and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"]
            and b["y"] < a["y"] + a["h"]
        )

    for p, q in itertools.combinations(DASHBOARD["panels"], 2):
        assert not overlap(p["gridPos"], q["gridPos"]), (p["title"], q["title"])
        assert p["gridPos"]["x"] + p["gridPos"]["w"] <= 24


def test_what_is_shown_and_watched_is_what_the_relay_counts():
    known = set(re.findall(r"^\| `(\w+)`", (ETC / "metrics.md").read_text(), re.M))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "count", "sum")}
    shown = set(re.findall(r"\b(?:sealpost|process)_\w+", " ".join(expressions())))
    watched = re.findall(r"\bsealpost_\w+", RULES.read_text())
    assert shown <= known
    assert set(watched) <= known
    told = re.findall(r"`(sealpost_\w+)", (ETC / "runbook.md").read_text())
    assert set(told) <= known


def filled_in(expression):
    text = expression.replace("$instance", ".+").replace("$__rate_interval", "10s")
    assert "$" not in text, text
    return text


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_prometheus_has_an_answer_to_each_panel(prometheus, expression):
    assert 'instance=~"$instance"' in expression
    # A rate wants two samples, the second of which may be yet to come.
    if DARK & set(re.findall(r"\w+", expression)):
        assert prometheus.query(filled_in(expression)) == []
    else:
        assert prometheus.until(lambda: prometheus.query(filled_in(expression)))
