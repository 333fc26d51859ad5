"""Batches of which some entries are struck: taking those out of the request and putting the answer together.

BatchExecuteStatement answers a failed statement in its place inside a 200. BatchGetItem and BatchWriteItem hand
back what they did not do; with nothing done at all they fail as a whole, as on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from testbed.faults.answers import Answer, error_answer, failed_statement, json_answer
from testbed.faults.draws import Call
from testbed.faults.plan import Fault, FaultKind


def without_struck(call: Call, struck: Mapping[int, Fault]) -> Call | None:
    """The call as the engine is to see it; None where nothing is left of it."""
    withheld = {entry for entry, fault in struck.items() if fault.kind is not FaultKind.STATEMENT_ERROR_APPLIED}
    if call.operation == "BatchExecuteStatement":
        count = len(call.request["Statements"])
        kept = [entry for entry in range(count) if entry not in withheld]
        request = {**call.request, "Statements": [call.request["Statements"][entry] for entry in kept]}
    else:
        count = len(call.touched)
        kept = [item.entry for item in call.touched if item.entry not in withheld]
        request = {**call.request, "RequestItems": _parts(call, set(range(count)) - withheld)}
    if not kept:
        return None
    places = {entry: place for place, entry in enumerate(kept)}
    touched = [item._replace(entry=places[item.entry]) for item in call.touched if item.entry in places]
    return replace(call, body=orjson.dumps(request), request=request, touched=touched)


def with_struck(call: Call, struck: Mapping[int, Fault], answer: Answer | None) -> Answer:
    """The answer to the whole call. `answer`: the engine's 200 to what was left; None: nothing was."""
    body = orjson.loads(answer.body) if answer is not None else {}
    if call.operation == "BatchExecuteStatement":
        tables = {item.entry: item.table for item in call.touched}
        kept = iter(body.get("Responses", ()))
        responses = []
        for entry in range(len(call.request["Statements"])):
            fault = struck.get(entry)
            if fault is None or fault.kind is FaultKind.STATEMENT_ERROR_APPLIED:
                real = next(kept, None)  # an engine that answers too few leaves the list short, as it would be
            if fault is not None:
                responses.append(failed_statement(fault.error_code, tables[entry]))
            elif real is not None:
                responses.append(real)
        body["Responses"] = responses
    elif answer is None:
        return error_answer("ProvisionedThroughputExceededException")
    else:
        field = "UnprocessedKeys" if call.operation == "BatchGetItem" else "UnprocessedItems"
        body[field] = _joined(body.get(field) or {}, _parts(call, set(struck)))
    return json_answer(200, orjson.dumps(body), answer.headers if answer is not None else None)


def _parts(call: Call, entries: set[int]) -> dict[str, Any]:
    """`RequestItems` reduced to some entries, counted through all tables; tables without any are left out."""
    parts: dict[str, Any] = {}
    number = 0
    for table, wanted in call.request["RequestItems"].items():
        whole = wanted["Keys"] if isinstance(wanted, dict) else wanted
        part = [entry for place, entry in enumerate(whole, number) if place in entries]
        number += len(whole)
        if part:
            parts[table] = {**wanted, "Keys": part} if isinstance(wanted, dict) else part
    return parts


def _joined(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine left unprocessed itself, and what was withheld from it."""
    joined = {**right, **left}
    for table in left.keys() & right.keys():
        if isinstance(left[table], dict):
            joined[table] = {**left[table], "Keys": [*left[table]["Keys"], *right[table]["Keys"]]}
        else:
            joined[table] = [*left[table], *right[table]]
    return joined
