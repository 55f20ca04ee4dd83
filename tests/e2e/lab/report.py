"""A delivery status notification, read strictly: RFC 3464 and RFC 6533."""

import email
import email.policy

PER_MESSAGE = {"Reporting-MTA", "Original-Envelope-Id", "Arrival-Date"}
PER_RCPT = {
    *("Original-Recipient", "Final-Recipient", "Action", "Status"),
    *("Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until"),
}


def _blocks(part):
    """The field blocks of the status part.  Python knows the old type only."""
    if part.get_content_type() == "message/delivery-status":
        return part.get_payload()
    assert part.get_content_type() == "message/global-delivery-status"
    text = part.as_bytes(policy=email.policy.SMTPUTF8).partition(b"\r\n\r\n")[2]
    return [
        email.message_from_bytes(block, policy=email.policy.SMTPUTF8)
        for block in text.split(b"\r\n\r\n")
        if block.strip()
    ]


def _check_fields(block, known, wanted):
    names = list(block.keys())
    assert not block.defects, block.defects
    assert len(names) == len(set(names)), f"a field twice: {names}"
    assert set(names) <= known, f"a strange field: {names}"
    assert wanted <= set(names), f"a field lacks: {names}"


class Report:
    """Its parts, and their fields; whole: whether the original is there."""

    def __init__(self, delivery):
        self.delivery = delivery
        raw = delivery.data
        self.mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert not self.mail.defects, self.mail.defects
        assert self.mail.get_content_type() == "multipart/report"
        assert self.mail.get_param("report-type") == "delivery-status"
        text, self.status, self.returned = self.mail.iter_parts()
        assert text.get_content_type() == "text/plain"
        assert not text.defects and not self.status.defects
        self.text = text.get_content()
        self.message, *self.rcpts = _blocks(self.status)
        _check_fields(self.message, PER_MESSAGE, {"Reporting-MTA"})
        for rcpt in self.rcpts:
            wanted = {"Final-Recipient", "Action", "Status"}
            _check_fields(rcpt, PER_RCPT, wanted)

    def rcpt(self, i=0):
        return self.rcpts[i]
