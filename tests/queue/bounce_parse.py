"""Reads a notice from stdin the way a mail program does; exits 0 when it is a
well-formed report.  Arguments: the number of parts, and of recipients."""

import email
import email.policy
import sys

FIELDS = {
    "date", "from", "to", "subject", "message-id", "references",
    "auto-submitted", "tls-required", "mime-version", "content-type",
}
PER_MESSAGE = {"reporting-mta", "original-envelope-id", "arrival-date"}
PER_RECIPIENT = {
    "original-recipient", "final-recipient", "action", "status", "remote-mta",
    "diagnostic-code", "last-attempt-date", "will-retry-until",
}


def blocks_of(part):
    """The field blocks of the status part."""
    payload = part.get_payload()
    if part.get_content_type() == "message/delivery-status":
        return payload
    text = payload[0].as_bytes(policy=email.policy.SMTPUTF8)
    return [
        email.message_from_bytes(block) for block in text.split(b"\r\n\r\n")
        if block.strip()
    ]


def check(raw, parts, recipients):
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998, "line too long"
        assert b"\r" not in line and b"\n" not in line, "bare CR or LF"
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert not message.defects, message.defects
    names = [name.lower() for name in message.keys()]
    assert len(names) == len(set(names)), "field twice: %s" % names
    assert set(names) <= FIELDS, "strange field: %s" % names
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["From"].addresses[0].username == "MAILER-DAEMON"
    assert message["Date"].datetime and message["Message-ID"]
    got = message.get_payload()
    assert len(got) == parts, "parts: %d" % len(got)
    assert got[0].get_content_type() == "text/plain"
    assert not got[0].defects and not got[1].defects
    got[0].get_payload(decode=True).decode("utf-8")
    assert got[1].get_content_type() in (
        "message/delivery-status", "message/global-delivery-status")
    first, *rest = blocks_of(got[1])
    assert {n.lower() for n in first.keys()} <= PER_MESSAGE, first.keys()
    assert len(rest) == recipients, "recipients: %d" % len(rest)
    for block in rest:
        assert {n.lower() for n in block.keys()} <= PER_RECIPIENT, block.keys()
        for name in ("Final-Recipient", "Action", "Status"):
            assert len(block.get_all(name)) == 1, name


if __name__ == "__main__":
    check(sys.stdin.buffer.read(), int(sys.argv[1]), int(sys.argv[2]))
