"""What JSON Schema cannot say about the API's input, for schemathesis (SCHEMATHESIS_HOOKS names this file)."""

import base64
import datetime
import json

import schemathesis
from hypothesis import strategies as st

NOW = datetime.datetime.now(datetime.timezone.utc)

# At most ten years ahead.
INSTANTS = st.datetimes(
    min_value=datetime.datetime(1970, 1, 2),
    max_value=datetime.datetime(NOW.year + 9, 1, 1),
).map(lambda at: at.isoformat() + "Z")

# Tasks of this run are really called: on this machine, where nobody listens.
URLS = st.text("abcxyz019-._~/", max_size=20).map("http://127.0.0.1:9/{}".format)

# A version, microseconds, a UUID: see src/api/cursor.rs.
CURSORS = st.tuples(st.integers(0, 2**52), st.binary(min_size=16, max_size=16)).map(
    lambda place: base64.urlsafe_b64encode(b"\x01" + place[0].to_bytes(8, "big") + place[1]).decode().rstrip("=")
)

schemathesis.openapi.format("date-time", INSTANTS)
schemathesis.openapi.format("uri", URLS)
schemathesis.openapi.format("cursor", CURSORS)

# A version and a number: see src/api/dead_letters.rs.
LETTER_CURSORS = st.integers(1, 2**52).map(
    lambda letter: base64.urlsafe_b64encode(b"\x01" + letter.to_bytes(8, "big")).decode().rstrip("=")
)
ADDRESSES = st.sampled_from(["log", "http:127.0.0.1:9", "http:hooks.example.org", "kafka:orders", "kafka:west/orders"])

schemathesis.openapi.format("letter-cursor", LETTER_CURSORS)
schemathesis.openapi.format("target-address", ADDRESSES)

FILTERS = {"state", "label", "from", "to", "target"}




@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def whole_with_fraction(value):
    """Somewhere in it is a 1.0: an integer to JSON Schema, but the API wants its integers without a fraction."""
    if isinstance(value, dict):
        return any(map(whole_with_fraction, value.values()))
    if isinstance(value, list):
        return any(map(whole_with_fraction, value))
    return isinstance(value, float) and value.is_integer()


def documents(body):
    """The submissions in a body."""
    found = body if isinstance(body, list) else [body]
    return [one for one in found if isinstance(one, dict)]


def fits(document):
    """Nothing is wrong with it that its schema does not say."""
    target = document.get("target")
    target = target if isinstance(target, dict) else {}
    headers = target.get("headers")
    names = [str(name).lower() for name in headers] if isinstance(headers, dict) else []
    payload = document.get("payload")
    raw_bytes = isinstance(payload, dict) and list(payload) == ["base64"]
    return (
        # This node has no cluster of Kafka, so it takes no task for one.
        target.get("type") != "kafka"
        # Each header once, whatever its case.
        and len(set(names)) == len(names)
        # Raw bytes are standard base64.
        and not raw_bytes
    )


@schemathesis.hook
def filter_case(context, case):
    return not whole_with_fraction(case.body) and all(map(fits, documents(case.body)))


TAGS = {"If-Match", "If-None-Match"}
ACTS_ON = {"cancel": "scheduled", "run": "scheduled", "retry": "failed", "resolve": "unknown", "reschedule": "scheduled"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """What is done to many needs a filter, so that nobody means all of them by leaving out a word. And the key becomes the
    id: one of them. Here, since an id may come from an answer before, and not every phase asks filter_case."""
    if case.meta and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        # The description says that they are not empty, and the coverage phase takes it for valid all the same.
        for name in [name for name, value in (case.headers or {}).items() if name in TAGS and not value]:
            del case.headers[name]
    path, _, verb = case.path.partition(":")
    query = case.query or {}
    if verb and not any(query.get(name) for name in FILTERS):
        case.query = {**query, "state": ACTS_ON[verb]}
    if any(document.get("id") is not None for document in documents(case.body)):
        for name in [name for name in case.headers or {} if name.lower() == "idempotency-key"]:
            del case.headers[name]
