"""The table of conformance: tests that stand for a clause of a standard say so,
and what they saw is a row of it.

    @pytest.mark.conformance("RFC 8461 4.1", "a host that is not listed",
                             "waits: 4.7.5 MTA-STS")

Each of the three may be a dict with the values of a parameter for keys; in the
last two, {name} is the value of the parameter of that name.  What is seen comes
from lab/seen.py; a row that is not as expected fails its test.

A test that runs in two ways, or with another program, gives cells of one row:
the parameter `way`, or `by` of the marker.
"""

import collections
import re
import textwrap

from . import seen

Group = collections.namedtuple("Group", "title rfcs ways text")

SEEN = "seen"
WAYS = ("trust", "validate", "Postfix")
DANE_TEXT = """\
Each case is run twice: `trust` believes the AD bit of a validating resolver
(Unbound), `validate` checks the signatures in process.  Postfix 3.7, with
`smtp_tls_security_level = dane` and the same resolver, gets the same domains."""
HALF_TEXT = """\
As it is where the relay is told `policy.dane_insecure_mx = "dane"`.  Otherwise
it does not look for these records."""

GROUPS = {
    "sts": Group("MTA-STS", ("8461",), (SEEN,), ""),
    "dane": Group("DANE", ("6698", "7671", "7672", "8996"), WAYS, DANE_TEXT),
    "half": Group("DANE below MX records that are not authentic", (), WAYS, HALF_TEXT),
    "dnssec": Group("DNSSEC: what an answer is worth", ("4033", "4035"), WAYS[:2], ""),
    "way": Group("DNSSEC: who is believed", (), (SEEN,), ""),
    "requiretls": Group("REQUIRETLS and TLS-Required", ("8689",), (SEEN,), ""),
    "tlsrpt": Group("TLSRPT", ("8460",), (SEEN,), ""),
    "both": Group("Composition", (), WAYS[:2], ""),
}

HEAD = """\
# Conformance

What the relay does with mail where a standard says what it has to do. Each row
is real mail: handed to the relay, and sent by it, or kept, with real DNS, real
certificates and real SMTP servers on loopback.

- `expected` is what the clause demands.
- What was seen is what the receiving hosts wrote down, with the reason out of
  the relay's log. *waits* is a temporary failure with that status, and nothing
  was sent. *bounced* is a permanent one.
- *WebPKI* and *DANE* say how the host was authenticated before MAIL FROM; no
  word, that it was not. A row with *to host 2* skipped a better one.
- *policy fresh*, *cached* or *failed* is where an MTA-STS policy came from.
- Of TLSRPT it is what the report says: the type of policy, and its results.

`./scripts/test conformance` runs all of it anew, and `--publish` writes this
page; `./scripts/test` fails when the page says something else than was seen.
"""


class Row:
    def __init__(self, group, clause, case, expected):
        self.group, self.clause, self.case = group, clause, case
        self.expected = expected  # way -> text
        self.seen = {}  # way -> text
        self.why = ""  # Postfix differs

    def is_right(self):
        return self.is_run() and all(self.seen[w] == x for w, x in self.expected.items())

    def is_run(self):
        return set(self.seen) == set(self.expected)

    def cell(self, way):
        return self.seen.get(way, "not run" if way in self.expected else "")

    def wanted(self):
        """That of the relay."""
        return next((x for w, x in self.expected.items() if w != WAYS[2]), "")


def _said(value, params):
    """The value for these parameters."""
    if isinstance(value, dict):
        keys = {p for p in params.values() if isinstance(p, str) and p in value}
        (key,) = keys
        value = value[key]
    return value


def _params(item):
    """And `name`, which is all of them in words, without a leading number."""
    if not hasattr(item, "callspec"):
        return {}
    name = re.sub(r"^\d+a?-", "", item.callspec.id).replace("-", " ")
    return {"name": name, **item.callspec.params}


def _group(clause):
    number = clause.split()[1]
    return next(name for name, g in GROUPS.items() if number in g.rfcs)


def _number(text):
    return [int(n) if n.isdigit() else 0 for n in text.replace(".", " ").split()]


class Table:
    def __init__(self):
        self.rows = {}
        self._cells = {}  # test -> row and way

    def add(self, item):
        mark = item.get_closest_marker("conformance")
        if not mark:
            return
        params = _params(item)
        clause, case, expected = (_said(a, params) for a in mark.args)
        group = mark.kwargs.get("group") or _group(clause)
        case = case.format(**params)
        key = group, clause, case
        row = self.rows.setdefault(key, Row(*key, {}))
        ways = GROUPS[group].ways
        way = mark.kwargs.get("by") or params.get("way", ways[0])
        assert way in ways and way not in row.expected, f"two tests of one: {key}"
        row.expected[way] = expected.format(**params)
        row.why = _said(mark.kwargs.get("why", ""), params) or row.why
        self._cells[item.nodeid] = row, way

    def run(self, item):
        """Runs the test of a row; False: it has none."""
        if item.nodeid not in self._cells:
            return False
        row, way = self._cells[item.nodeid]
        names = item._fixtureinfo.argnames
        seen.begin()
        try:
            item.obj(**{name: item.funcargs[name] for name in names})
        except Exception as e:
            row.seen[way] = f"failed: {type(e).__name__}"
            raise
        finally:
            saw = seen.end()
        row.seen[way] = saw
        assert saw == row.expected[way]
        return True

    # --- as text ---

    def of(self, group):
        rows = [r for r in self.rows.values() if r.group == group]
        return sorted(rows, key=lambda r: _number(r.clause))

    def counts(self):
        rows = self.rows.values()
        right = sum(r.is_right() for r in rows)
        idle = sum(not r.is_run() for r in rows)
        text = f"{len(rows)} rows: {right} as expected"
        wrong = len(rows) - right - idle
        text += f", {wrong} not" if wrong else ""
        return text + (f", {idle} not run" if idle else "")

    def page(self):
        """The page in Markdown."""
        parts = [HEAD]
        for name, group in GROUPS.items():
            rows = self.of(name)
            if rows:
                parts.append(f"## {group.title}\n")
                parts.append(group.text + "\n" if group.text else "")
                parts.append(_markdown(rows, group.ways))
                parts.append(_reasons(rows))
        return "\n".join(p for p in parts if p) + f"\n{self.counts()}\n"

    def screen(self):
        lines = []
        for name, group in GROUPS.items():
            rows = self.of(name)
            lines += ["", group.title] if rows else []
            lines += _aligned(rows, group.ways)
        return "\n".join([*lines, "", self.counts()])


def _markdown(rows, ways):
    head = ["clause", "case", "expected", *ways]
    cells = [
        [r.clause, r.case, r.wanted(), *(r.cell(w) for w in ways)] for r in rows
    ]
    lines = [head, ["---"] * len(head), *cells]
    return "".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |\n"
        for line in lines
    )


def _reasons(rows):
    """Why Postfix does otherwise."""
    whys = {}
    for r in rows:
        if r.why:
            whys.setdefault(r.why, []).append(r.case)
    return "\n".join(
        textwrap.fill(f"Postfix differs in *{'*, *'.join(cases)}*: {why}.", 80) + "\n"
        for why, cases in whys.items()
    )


def _aligned(rows, ways):
    def saw(r):
        """Once, where all agree."""
        cells = {w: r.cell(w) for w in ways if w in r.expected}
        if len(set(cells.values())) == 1:
            return next(iter(cells.values()))
        return "; ".join(f"{w}: {c}" for w, c in cells.items())

    cells = [
        (r.clause, r.case, r.wanted(), saw(r) + "" if r.is_right() else f"{saw(r)} <--")
        for r in rows
    ]
    widths = [max((len(c[i]) for c in cells), default=0) for i in range(3)]
    return [
        "  " + "  ".join(f"{c:<{w}}" for c, w in zip(row, [*widths, 0])).rstrip()
        for row in cells
    ]
