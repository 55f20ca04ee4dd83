"""Reports about TLS: are they what RFC 8460 section 4.4 describes?

The schema of the document is in tlsrpt_schema.json; what a schema can't say, is
here.
"""

import json
import pathlib

import jsonschema

SCHEMA = json.loads(pathlib.Path(__file__).with_name("tlsrpt_schema.json").read_text())


def _complaints(document, name):
    schema = {**SCHEMA, "$ref": f"#/definitions/{name}"}
    checker = jsonschema.FormatChecker()
    validator = jsonschema.Draft7Validator(schema, format_checker=checker)
    return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(document)]


def _sums(policies):
    """The failures of each policy are as many as its summary says."""
    for p in policies:
        failed = sum(d["failed-session-count"] for d in p.get("failure-details", []))
        if failed != p["summary"]["total-failure-session-count"]:
            yield f"{p['policy']}: {failed} failures have details"


def complaints(document):
    """What is wrong with a report; [] is what one hopes for."""
    found = _complaints(document, "report")
    return found or list(_sums(document["policies"]))


def policy_complaints(policies):
    """The same for that part alone."""
    return _complaints(policies, "policies") or list(_sums(policies))


def told(policies):
    """Each policy with its results, in the words of the report."""
    words = []
    for p in policies:
        results = sorted({d["result-type"] for d in p.get("failure-details", [])})
        succeeded = p["summary"]["total-successful-session-count"]
        what = ["success"] * bool(succeeded) + results
        words.append(f"{p['policy']['policy-type']}: {', '.join(what)}")
    return " + ".join(sorted(words))
