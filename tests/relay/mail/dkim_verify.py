"""Verifies a signed message with a library that is not ours.  Stdin: lines
"NAME RECORD" of what DNS would answer, an empty line, the message.  Argument:
how many signatures there are.  Exits 0 when every one of them is good."""

import sys

import dkim

records, _, message = sys.stdin.buffer.read().partition(b"\n\n")
zone = dict(line.split(b" ", 1) for line in records.split(b"\n"))


def txt(name, timeout=5):
    name = name if isinstance(name, bytes) else name.encode()
    return zone.get(name.rstrip(b"."))


def is_good(index):
    try:
        return dkim.DKIM(message).verify(index, dnsfunc=txt)
    except dkim.DKIMException as e:
        print(e, file=sys.stderr)
        return False


results = [is_good(i) for i in range(int(sys.argv[1]))]
sys.exit(0 if results and all(results) else 1)
