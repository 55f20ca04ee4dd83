"""The alert rules of etc/prometheus: Prometheus' own promtool is the judge of
when they fire.  Each has one story in which it does, and others in which it
does not."""

import json
import pathlib
import re
import subprocess

import yaml

ETC = pathlib.Path(__file__).parents[2] / "etc"
RULES = ETC / "prometheus/alerts.yaml"
DAY = 86400

# alert: (labels it has when it fires, minutes until then, series that make it),
# then any number of series that do not.  A series is (name and labels, values
# at each minute in promtool's words).
STORIES = {
    "SealpostDown": (
        ("", 3, [('up{job="sealpost"}', "1 0x9")]),
        [('up{job="sealpost"}', "1 0 1x9")],
        [('up{job="postfix"}', "0x9")],
    ),
    "SealpostStoreTrouble": (
        ("", 2, [("sealpost_storage_healthy", "1 0x9")]),
        [("sealpost_storage_healthy", "1x9")],
    ),
    "SealpostStoreErrors": (
        (
            'kind="space"',
            5,
            [('sealpost_storage_errors_total{kind="space"}', "0 0 1x9")],
        ),
        [('sealpost_storage_errors_total{kind="space"}', "3x9")],
    ),
    "SealpostDiskFull": (
        ("", 2, [("sealpost_storage_accepts_mail", "0x9")]),
        [("sealpost_storage_accepts_mail", "1x9")],
    ),
    "SealpostDiskLow": (
        (
            "",
            6,
            [("sealpost_disk_free_bytes", "9x9"), ("sealpost_disk_size_bytes", "100x9")],
        ),
        [("sealpost_disk_free_bytes", "10x9"), ("sealpost_disk_size_bytes", "100x9")],
    ),
    "SealpostBacklog": (
        ("", 6, [('sealpost_queue_oldest_seconds{state="ready"}', "901x9")]),
        [('sealpost_queue_oldest_seconds{state="ready"}', "900x9")],
        [('sealpost_queue_oldest_seconds{state="held"}', "999999x9")],
    ),
    "SealpostMailDeferred": (
        ("", 16, [('sealpost_queue_oldest_seconds{state="deferred"}', "14401x20")]),
        [('sealpost_queue_oldest_seconds{state="deferred"}', "3600x20")],
        [('sealpost_queue_oldest_seconds{state="held"}', "999999x20")],
    ),
    "SealpostNothingSent": (
        (
            "",
            20,
            [
                ('sealpost_deliveries_total{result="deferred",dest="a"}', "0+1x30"),
                ('sealpost_deliveries_total{result="sent",dest="a"}', "7x30"),
            ],
        ),
        [  # nothing to send
            ('sealpost_deliveries_total{result="deferred",dest="a"}', "7x30"),
            ('sealpost_deliveries_total{result="sent",dest="a"}', "7x30"),
        ],
        [  # some get through
            ('sealpost_deliveries_total{result="deferred",dest="a"}', "0+9x30"),
            ('sealpost_deliveries_total{result="sent",dest="b"}', "0+1x30"),
        ],
    ),
    "SealpostProviderDown": (
        ('route="ses"', 11, [('sealpost_upstream_up{route="ses"}', "0x15")]),
        [('sealpost_upstream_up{route="ses"}', "0x5 1x10")],
    ),
    "SealpostTokenExpired": (
        (
            'route="m365"',
            6,
            [('sealpost_oauth_token_expiry_timestamp_seconds{route="m365"}', "0x9")],
        ),
        [('sealpost_oauth_token_expiry_timestamp_seconds{route="m365"}', "3600x9")],
    ),
    "SealpostTokenRefreshFails": (
        (
            'route="m365",result="failed"',
            10,
            [
                (
                    'sealpost_oauth_refresh_total{route="m365",result="failed"}',
                    "0+1x20",
                )
            ],
        ),
        [('sealpost_oauth_refresh_total{route="m365",result="ok"}', "0+1x20")],
        [('sealpost_oauth_refresh_total{route="m365",result="failed"}', "0 1x20")],
    ),
    "SealpostCertificateExpiring": (
        (
            'cert="a.pem"',
            16,
            [
                (
                    'sealpost_tls_cert_expiry_timestamp_seconds{cert="a.pem"}',
                    f"{6 * DAY}x20",
                )
            ],
        ),
        [('sealpost_tls_cert_expiry_timestamp_seconds{cert="a.pem"}', f"{8 * DAY}x20")],
    ),
    "SealpostCertificateExpired": (
        (
            'cert="a.pem"',
            4,
            [('sealpost_tls_cert_expiry_timestamp_seconds{cert="a.pem"}', "180x9")],
        ),
        [('sealpost_tls_cert_expiry_timestamp_seconds{cert="a.pem"}', "1800x9")],
    ),
    "SealpostPolicyRefusals": (
        ("", 150, [("sealpost_policy_refusals_total", "0x90 0+1x90")]),
        [("sealpost_policy_refusals_total", "0+1x180")],  # as ever
        [("sealpost_policy_refusals_total", "0x120 4x60")],  # few
    ),
    "SealpostDnssecOff": (
        ("", 16, [('sealpost_resolver_dnssec_ok{way="off"}', "0x20")]),
        [('sealpost_resolver_dnssec_ok{way="trust"}', "1x20")],
    ),
    "SealpostAuthFailures": (
        (
            'listener="submission"',
            5,
            [('sealpost_auth_failures_total{listener="submission"}', "0+20x9")],
        ),
        [('sealpost_auth_failures_total{listener="submission"}', "0+2x9")],
    ),
    "SealpostOpenRelay": (
        ("", 6, [("sealpost_open_relay_warnings", "1x9")]),
        [("sealpost_open_relay_warnings", "0x9")],
    ),
    "SealpostReloadFailed": (
        ("", 2, [("sealpost_config_last_reload_successful", "0x9")]),
        [("sealpost_config_last_reload_successful", "1x9")],
    ),
    "SealpostModeNotLive": (
        ('mode="live"', 16, [('sealpost_mode{mode="live"}', "0x20")]),
        [('sealpost_mode{mode="live"}', "1x20"), ('sealpost_mode{mode="sink"}', "0x20")],
    ),
    "SealpostWebhookBacklog": (
        ('webhook="crm"', 11, [('sealpost_webhook_backlog{webhook="crm"}', "1001x15")]),
        [('sealpost_webhook_backlog{webhook="crm"}', "1000x15")],
    ),
}


def rules():
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def labels_of(text):
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def case(series, alert, minutes, fires):
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": labels} for labels in fires],
            }
        ],
    }


def test_promtool_takes_the_rules():
    done = subprocess.run(
        ["promtool", "check", "rules", RULES], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_story():
    assert rules().keys() == STORIES.keys()


def test_each_alert_says_how_bad_it_is_and_where_help_is():
    headings = re.findall(r"^## (.*)", (ETC / "runbook.md").read_text(), re.M)
    anchors = {h.lower().replace(" ", "-") for h in headings}
    for name, rule in rules().items():
        said = rule["annotations"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert said["summary"] and "instance" in said["description"], name
        page, anchor = said["runbook_url"].split("#")
        assert page == "etc/runbook.md" and anchor in anchors, name


def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    tests = []
    for name, ((labels, minutes, series), *quiet) in STORIES.items():
        severity = rules()[name]["labels"]["severity"]
        more = {"job": "sealpost"} if name == "SealpostDown" else {}
        fires = {"severity": severity, **labels_of(labels), **more}
        tests.append(case(series, name, minutes, [fires]))
        tests += [case(calm, name, minutes, []) for calm in quiet]
    # Of an alert that fires the annotations would have to be given in full.
    plain = yaml.safe_load(RULES.read_text())
    for rule in plain["groups"][0]["rules"]:
        del rule["annotations"]
    (tmp_path / "rules.yaml").write_text(json.dumps(plain))
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": ["rules.yaml"], "tests": tests}))
    done = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
