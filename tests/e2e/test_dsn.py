"""Delivery status notifications between hosts: what is passed on, who reports
what (RFC 3461), in UTF-8 (RFC 6533) and with REQUIRETLS (RFC 8689)."""

import re
import smtplib
import time

import pytest

from lab.postfix import Postfix
from lab.report import Report
from lab.send import message, submit

ALL_OF_MAIL = ["RET=HDRS", "ENVID=QQ+2B31+3D4"]
ALL_OF_RCPT = ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;Alias+2Bx@old.test"]
REFUSAL = [["550 5.1.1 no such user"]]


class Everybody(dict):
    """Replies that do not depend on the address."""

    def get(self, _address, _default=None):
        return REFUSAL


@pytest.fixture
def home(world):
    return world.domain(world.peer())


def refusing(world, **options):
    mx = world.peer(**options)
    mx.replies["RCPT"] = Everybody()
    return world.domain(mx)


def report_to(world, address):
    return Report(world.ledger.one(address))


# --- what goes on to the next host ---


def test_everything_asked_for_goes_on_as_it_came(world, relay, home):
    mx = world.peer(dsn=True)
    d = world.domain(mx)
    submit(
        *(relay, f"bob@{d}"),
        sender=f"app@{home}",
        mail_options=ALL_OF_MAIL,
        rcpt_options=ALL_OF_RCPT,
    )
    got = world.ledger.one(domain=d)
    assert set(ALL_OF_MAIL) <= set(got.mail_args)
    assert set(ALL_OF_RCPT) <= set(got.rcpt_args[0])


@pytest.mark.parametrize("notify", ["NEVER", "FAILURE", "SUCCESS,DELAY"])
def test_notify_goes_on_as_it_came(world, relay, notify):
    d = world.domain(world.peer(dsn=True))
    submit(relay, f"bob@{d}", rcpt_options=[f"NOTIFY={notify}"])
    assert world.ledger.one(domain=d).rcpt_args[0] == [f"NOTIFY={notify}"]


def test_what_was_not_asked_for_is_not_added(world, relay):
    d = world.domain(world.peer(dsn=True))
    submit(relay, f"bob@{d}")
    got = world.ledger.one(domain=d)
    assert got.rcpt_args[0] == []
    assert not [a for a in got.mail_args if a.startswith(("RET", "ENVID"))]


def test_a_host_without_dsn_is_asked_for_nothing(world, relay, home):
    mx = world.peer(dsn=False)
    d = world.domain(mx)
    submit(
        *(relay, f"bob@{d}"),
        sender=f"app@{home}",
        mail_options=ALL_OF_MAIL,
        rcpt_options=ALL_OF_RCPT,
    )
    world.ledger.one(domain=d)
    said = " ".join(mx.commands)
    for word in ("RET=", "ENVID=", "NOTIFY=", "ORCPT="):
        assert word not in said


# --- who reports success ---


def test_behind_a_host_without_dsn_success_is_told_as_relayed(world, relay, home):
    mx = world.peer(dsn=False)
    d = world.domain(mx)
    submit(
        *(relay, f"bob@{d}", f"eve@{d}"),
        sender=f"app@{home}",
        mail_options=["RET=FULL", "ENVID=order7"],
        rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;old@old.test"],
    )
    report = report_to(world, f"app@{home}")
    assert report.message["Original-Envelope-Id"] == "order7"
    assert [r["Final-Recipient"] for r in report.rcpts] == [
        f"rfc822; {name}@{d}" for name in ("bob", "eve")
    ]
    for got in report.rcpts:
        assert got["Action"] == "relayed" and got["Status"] == "2.0.0"
        assert got["Original-Recipient"] == "rfc822;old@old.test"
        assert got["Remote-MTA"] == f"dns; {mx.host}"
        assert got["Last-Attempt-Date"] and not got["Will-Retry-Until"]
    assert report.returned.get_content_type() == "text/rfc822-headers"
    assert report.delivery.mail == "<>"


def test_one_message_two_outcomes_two_reports(world, relay, home):
    mx = world.peer(dsn=False)
    d = world.domain(mx)
    mx.replies["RCPT"] = {f"bad@{d}": list(REFUSAL[0])}
    submit(
        *(relay, f"good@{d}", f"bad@{d}"),
        sender=f"app@{home}",
        rcpt_options=["NOTIFY=SUCCESS,FAILURE"],
    )
    both = world.ledger.wait(f"app@{home}", count=2)
    told = {
        r["Final-Recipient"]: r["Action"]
        for report in map(Report, both)
        for r in report.rcpts
    }
    assert told == {
        f"rfc822; good@{d}": "relayed",
        f"rfc822; bad@{d}": "failed",
    }


def test_notify_is_for_each_recipient(world, relay, home):
    d = refusing(world)
    with smtplib.SMTP(relay.ip, relay.port, "client.lab.test", 30) as c:
        c.ehlo()
        c.mail(f"app@{home}")
        for name, notify in [("a", "NEVER"), ("b", "SUCCESS"), ("c", "FAILURE")]:
            assert c.rcpt(f"{name}@{d}", [f"NOTIFY={notify}"])[0] == 250
        assert c.data(message())[0] == 250
    report = report_to(world, f"app@{home}")
    assert [r["Final-Recipient"] for r in report.rcpts] == [f"rfc822; c@{d}"]


@pytest.fixture(scope="module")
def postfix(world):
    """Postfix as the next host: it takes everything, throws mail for
    discard.test away, and has notices delivered to one peer."""
    home_peer = world.peer()
    p = Postfix(
        world.dns,
        port=world.mx_port,
        smtp_tls_security_level="none",
        smtp_dns_support_level="enabled",
        smtputf8_enable="yes",
        default_transport=f"smtp:[{home_peer.ip}]:{home_peer.port}",
        transport_maps="inline:{ {discard.test=discard:} }",
        relay_domains="discard.test",
    )
    yield p
    p.close()


def test_behind_postfix_the_report_is_its_own(world, relay, postfix):
    """It offers DSN, so it reports; ours would be a second one."""
    host = f"mx.{world.name()}"
    world.dns.put(host, "A", postfix.ip)
    world.domain(host, name="discard.test")
    sender = f"app@{world.name()}"
    mid = submit(
        *(relay, "bob@discard.test"),
        sender=sender,
        mail_options=ALL_OF_MAIL,
        rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;Alias+2Bx@old.test"],
    )
    relay.log.one("delivery.sent", mid=mid)
    got = world.ledger.one(sender).data.decode()
    assert "Reporting-MTA: dns; postfix.lab" in got
    assert "Original-Envelope-Id: QQ+31=4" in re.sub(r"\+2B", "+", got).replace(
        "+3D", "="
    )
    assert "Original-Recipient: rfc822;Alias+x@old.test" in got.replace("+2B", "+")
    time.sleep(0.3)
    assert len(world.ledger.of(sender)) == 1


# --- who said it ---


def test_a_peers_words_are_told_as_its_words(world, relay, home):
    d = refusing(world)
    submit(relay, f"bob@{d}", sender=f"app@{home}")
    got = report_to(world, f"app@{home}").rcpt()
    assert got["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert got["Remote-MTA"].startswith("dns; mx.")


def test_our_own_words_are_not_told_as_a_peers(world, relay, home):
    """The host was never asked: the message is larger than its SIZE."""
    mx = world.peer(size=2000)
    d = world.domain(mx)
    data = message(body="x" * 70 + "\r\n") + (b"y" * 70 + b"\r\n") * 100
    submit(relay, f"bob@{d}", sender=f"app@{home}", data=data)
    report = report_to(world, f"app@{home}")
    got = report.rcpt()
    assert got["Status"] == "5.3.4"
    assert got["Diagnostic-Code"].startswith("X-Sealpost; ")
    assert not got["Remote-MTA"]
    assert "answered" not in report.text


# --- what comes back ---


@pytest.mark.parametrize("size, whole", [(100_000, True), (140_000, False)])
def test_a_message_of_several_pieces_comes_back_whole_up_to_a_size(
    world, relay, home, size, whole
):
    data = message(subject="the subject") + (b"z" * 78 + b"\r\n") * (size // 80)
    submit(
        *(relay, f"bob@{refusing(world)}"),
        sender=f"app@{home}",
        data=data,
        mail_options=["RET=FULL"],
    )
    report = report_to(world, f"app@{home}")
    kind = "message/rfc822" if whole else "text/rfc822-headers"
    assert report.returned.get_content_type() == kind
    assert report.delivery.data.count(b"z" * 78) == (size // 80 if whole else 0)
    assert b"the subject" in report.delivery.data


# --- UTF-8 ---


def utf8_submit(relay, sender, rcpt, data=None):
    with smtplib.SMTP(relay.ip, relay.port, "client.lab.test", 30) as c:
        c.ehlo()
        c.command_encoding = "utf-8"
        assert c.mail(sender, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        assert c.rcpt(rcpt)[0] == 250
        assert c.data(data or message())[0] == 250


def test_an_address_in_utf8_is_reported_in_utf8(world, relay, home):
    """Also to a sender whose host knows nothing of SMTPUTF8."""
    plain = world.domain(world.peer(utf8=False))
    d = refusing(world)
    utf8_submit(relay, f"app@{plain}", f"bürö@{d}")
    report = report_to(world, f"app@{plain}")
    assert report.status.get_content_type() == "message/global-delivery-status"
    assert f"utf-8; bürö@{d}" in report.delivery.data.decode()
    assert report.rcpt()["Action"] == "failed"


def test_a_sender_in_utf8_hears_of_it(world, relay):
    peer = world.peer()
    home = world.domain(peer)
    utf8_submit(relay, f"jürgen@{home}", f"bob@{refusing(world)}")
    report = report_to(world, f"jürgen@{home}")
    assert [c for c in peer.commands if c.startswith("MAIL") and "SMTPUTF8" in c]
    assert report.status.get_content_type() == "message/delivery-status"


def test_smtputf8_that_the_next_host_lacks_is_told_with_its_code(
    world, relay, home
):
    d = world.domain(world.peer(utf8=False))
    utf8_submit(relay, f"app@{home}", f"bürö@{d}")
    assert report_to(world, f"app@{home}").rcpt()["Status"] == "5.6.7"
    assert not world.ledger.of(domain=d)


# --- REQUIRETLS ---


def demand(relay, *rcpts, sender):
    return submit(
        *(relay, *rcpts),
        sender=sender,
        port=relay.tls_port,
        starttls=True,
        mail_options=["REQUIRETLS", "RET=FULL"],
    )


def test_a_report_asks_for_requiretls_as_its_message_did(world, relay):
    """RFC 8689 section 5; and RET=FULL is passed over."""
    back = world.domain(world.peer(requiretls=True))
    demand(relay, f"bob@{world.domain(world.peer())}", sender=f"app@{back}")
    report = report_to(world, f"app@{back}")
    assert "REQUIRETLS" in report.delivery.mail_args
    assert report.returned.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("tls", [True, False])
def test_a_report_is_not_lost_where_requiretls_can_not_be_had(world, relay, tls):
    back = world.domain(world.peer(tls=tls))
    demand(relay, f"bob@{world.domain(world.peer())}", sender=f"app@{back}")
    report = report_to(world, f"app@{back}")
    assert "REQUIRETLS" not in report.delivery.mail_args
    assert report.rcpt()["Status"].startswith("5.7.")


# --- reports that can't be delivered ---


def test_a_report_that_bounces_is_told_to_the_log_alone(world, relay):
    d = refusing(world)
    mid = submit(relay, f"bob@{d}", sender=f"app@{d}")
    lost = relay.log.one("bounce.dropped", to=f"app@{d}")
    assert lost["level"] == "warning"
    assert mid in lost["origin"] and "no such user" in lost["reply"]
