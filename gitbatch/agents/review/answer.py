"""Reading a verdict: pure functions from what a reviewer returned to a `Review`, or to the reason why it is not one.

A verdict is an object with the keys `verdict` and `findings`, and is never searched for by words. In a text it is the last
JSON object, it has the nonce of its request under `review`, and no other object of the text claims to be a verdict: so
neither the output nor a quote of it can give one.
"""

import json
from collections.abc import Iterable

from gitbatch.agents.review.model import InvalidReview, Review, ReviewDecision, ReviewFinding, ReviewRequest
from gitbatch.patterns import compile_later
from gitbatch.text import clean_text

FINDINGS = 20
"""The most findings that are kept."""
_TEXT = 400
"""Characters of a finding."""
_READ = 1_000
"""The most findings that are looked at."""
_LONGEST = 256 * 1024
"""Characters at the end of a text in which a verdict is looked for."""
_STARTS = 1_000
"""The most brackets that could begin JSON: a text with more of them has no verdict."""
_OPENING = compile_later(r"[{\[]")
_CLAIM = compile_later(r"""["']verdict["']\s*:""")
"""What begins a verdict: one outside of JSON that can be read is cut or malformed, and may be the last word."""
_VERDICT, _FINDINGS, _NONCE = "verdict", "findings", "review"


class _RepeatedKeyError(ValueError):
    """An object has a key twice, so it says two things."""


def _read_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKeyError
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_read_pairs)


def read_review_text(text: str, request: ReviewRequest) -> Review | InvalidReview:
    """Returns the verdict of the last message of a reviewer."""
    try:
        values, rest = _split_text(text[-_LONGEST:])
    except (ValueError, RecursionError):
        return _invalid("its JSON has a key twice, is nested too deeply, or has a number that is too long")
    verdicts = [value for value in values if isinstance(value, dict) and _VERDICT in value]
    if not verdicts:
        return _invalid("its last message has no verdict")
    if len(verdicts) > 1:
        return _invalid("its last message has more than one verdict")
    problem = ""
    if _CLAIM.search(rest):
        problem = "its last message has a verdict that is cut or malformed"
    elif values[-1] is not verdicts[0]:
        problem = "the verdict is not the last JSON object of its last message"
    elif verdicts[0].get(_NONCE) != request.nonce:
        problem = "the verdict in its last message does not have the code of this review"
    return _invalid(problem) if problem else read_review_object(verdicts[0], request)


def read_review_file(written: bytes, request: ReviewRequest) -> Review | InvalidReview:
    """Returns the verdict that a program wrote as the JSON of its reply."""
    try:
        value = _DECODER.decode(written.decode())
    except _RepeatedKeyError:
        return _invalid("its reply has a key twice")
    except (ValueError, RecursionError):
        return _invalid("its reply is not JSON")
    return read_review_object(value, request)


def read_review_object(value: object, request: ReviewRequest) -> Review | InvalidReview:
    """Returns the verdict that a value of JSON is."""
    if not isinstance(value, dict) or _VERDICT not in value:
        return _invalid("it gave no verdict")
    if value.get(_NONCE, request.nonce) != request.nonce:
        return _invalid("the verdict has the code of another review")
    decision = next((one for one in ReviewDecision if one.value == value[_VERDICT]), None)
    if decision is None:
        return _invalid(f"unknown verdict {value[_VERDICT]!r}")
    found = _read_findings(value.get(_FINDINGS, []), request)
    if isinstance(found, InvalidReview):
        return found
    if decision is ReviewDecision.REVISE and not found:
        return _invalid("revise without a finding that names a line or a criterion it may name")
    return Review(decision, found[:FINDINGS], len(found[FINDINGS:]))


def _split_text(text: str) -> tuple[list[object], str]:
    """Returns the objects and arrays of JSON in a text, without those inside others, and the text without them.

    Raises:
        ValueError: a key is there twice, or a number has thousands of digits.
        RecursionError: they are nested too deeply, or there are too many brackets.
    """
    values, rest = list[object](), list[str]()
    end = starts = 0
    for opening in _OPENING.finditer(text):
        if opening.start() < end:
            continue
        starts += 1
        if starts > _STARTS:
            raise RecursionError
        try:
            value, next_end = _DECODER.raw_decode(text, opening.start())
        except json.JSONDecodeError:
            continue
        values.append(value)
        rest.append(text[end : opening.start()])
        end = next_end
    return values, "".join((*rest, text[end:]))


def _read_findings(written: object, request: ReviewRequest) -> tuple[ReviewFinding, ...] | InvalidReview:
    """Returns the findings that count."""
    if not isinstance(written, list):
        return _invalid("its findings are not a list")
    found: list[ReviewFinding] = []
    for each in written[:_READ]:
        finding = _read_finding(each, request)
        if isinstance(finding, InvalidReview):
            return finding
        if _counts(finding, request):
            found.append(finding)
    return tuple(found)


def _read_finding(written: object, request: ReviewRequest) -> ReviewFinding | InvalidReview:
    if not isinstance(written, dict):
        return _invalid("a finding is not an object")
    text, line, criterion = written.get("text"), written.get("line"), written.get("criterion")
    if not isinstance(text, str):
        return _invalid("a finding has no text")
    if not _is_one_of(line, range(1, request.lines + 1)):
        return _invalid(f"a finding names line {line!r} of {request.lines}")
    if not _is_one_of(criterion, request.criteria):
        return _invalid(f"a finding names criterion {criterion!r}, which the item does not have")
    return ReviewFinding(clean_text(text, _TEXT), line, criterion)


def _is_one_of(number: object, allowed: Iterable[int]) -> bool:
    """Whether a value is one of some numbers, or missing."""
    return number is None or (type(number) is int and number in allowed)


def _counts(finding: ReviewFinding, request: ReviewRequest) -> bool:
    """Whether a finding has a text, and a place where one may be."""
    if finding.line is not None and request.open_lines is not None and finding.line not in request.open_lines:
        return False
    return bool(finding.text) and (finding.line is not None or finding.criterion is not None)


def _invalid(reason: str) -> InvalidReview:
    return InvalidReview(clean_text(reason))
