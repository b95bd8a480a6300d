"""No token but ours, and no key but a whole one, opens anything.

Beside these: tokens without exp, expired, with scopes as text, with another secret, with algorithm none
(tests/api/test_edge.py); keys that expired or were revoked (tests/api/test_keys.py).
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from app.domain import keys
from app.web import auth
from tests.security import surface
from tests.security.attempts import attack, control
from tests.security.conftest import KEY, Build, Survey

SECRET = "a secret of thirty-two characters or more"
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END"
CLAIMS = {"sub": "x", "exp": 4_000_000_000, "scopes": ["write"]}


@pytest.fixture(scope="module")
def guarded(build: Build) -> Survey:
    return build(DSA110_JWT_SECRET=SECRET)


def status(survey: Survey, headers: Any = None, query: str = "", **options: Any) -> int:
    address = f"/api/v1/cache/clear{query}"
    return surface.ask(survey.client, address, "POST", headers=headers or {}, **options).status_code


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def signed(header: Any, claims: Any = CLAIMS, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token with any header and any claims, signed by hand, as libraries refuse to."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), digest))}"


GOOD = signed({"alg": "HS256", "typ": "JWT"})
HEAD, BODY, SIGNATURE = GOOD.split(".")
FORGED = {
    "none": f"{part({'alg': 'none'})}.{BODY}.",
    "None": f"{part({'alg': 'None'})}.{BODY}.",
    "nOnE with a signature": f"{part({'alg': 'nOnE'})}.{BODY}.{SIGNATURE}",
    "empty algorithm": signed({"alg": ""}),
    "no algorithm": signed({"typ": "JWT"}),
    "algorithm in small letters": signed({"alg": "hs256"}),
    "algorithm as a list": signed({"alg": ["HS256"]}),
    "HS512": signed({"alg": "HS512"}, digest="sha512"),
    "HS384": signed({"alg": "HS384"}, digest="sha384"),
    "RS256 by the secret": signed({"alg": "RS256"}),
    "public key as secret": signed({"alg": "HS256"}, secret=PUBLIC_KEY),
    "empty secret": signed({"alg": "HS256"}, secret=""),
    "key in the header": signed({"alg": "HS256", "jwk": {"kty": "oct", "k": part(b"mine")}}, secret="mine"),
    "key by path": signed({"alg": "HS256", "kid": "../../../../dev/null"}, secret=""),
    "key by SQL": signed({"alg": "HS256", "kid": "x' UNION SELECT 'mine"}, secret="mine"),
    "unknown critical extension": signed({"alg": "HS256", "crit": ["mine"], "mine": 1}),
    "signature left out": f"{HEAD}.{BODY}.",
    "signature cut off": f"{HEAD}.{BODY}.{SIGNATURE[:-4]}",
    "signature of another": f"{HEAD}.{part(CLAIMS | {'scopes': ['admin']})}.{SIGNATURE}",
    "two parts": f"{HEAD}.{BODY}",
    "five parts": f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}",
    "not yet": signed({"alg": "HS256"}, CLAIMS | {"nbf": time.time() + 3600}),
    "issued in the future": signed({"alg": "HS256"}, CLAIMS | {"iat": time.time() + 3600}),
    "claims as a list": signed({"alg": "HS256"}, [CLAIMS]),
    "header as a list": signed([{"alg": "HS256"}]),
    "header of brackets": f"{part(b'[' * 5000)}.{BODY}.{SIGNATURE}",
    "not base64": f"{HEAD}.!!!.{SIGNATURE}",
    "no exp": signed({"alg": "HS256"}, {"sub": "x", "scopes": ["write"]}),
    **{f"exp {exp!r}": signed({"alg": "HS256"}, CLAIMS | {"exp": exp})
       for exp in (None, "", "never", [], {}, 0, -1, float("nan"), float("-inf"))},
    "just over": signed({"alg": "HS256"}, CLAIMS | {"exp": time.time() - 11}),
    **{f"scopes {scopes!r}": signed({"alg": "HS256"}, CLAIMS | {"scopes": scopes})
       for scopes in ("write", "admin write", {"write": True}, 1, True)},
}  # fmt: skip


@attack(
    "tokens: algorithm none, another, confused with a public key; keys in the header; strange `exp`; scopes as text",
    "401",
)
@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_forged_token_opens_nothing(guarded: Survey, token: str) -> None:
    assert status(guarded, {"Authorization": f"Bearer {token}"}) == 401


@attack("good tokens with other scopes, and such as resemble the right one", "403")
@pytest.mark.parametrize(
    "scopes", [[], ["read"], ["writer"], ["Write"], ["write "], [["write"]], [None], [{"write": 1}]]
)
def test_token_with_other_scopes_is_forbidden(guarded: Survey, scopes: list[Any]) -> None:
    token = signed({"alg": "HS256"}, CLAIMS | {"scopes": scopes})
    assert status(guarded, {"Authorization": f"Bearer {token}"}) == 403


@control
def test_good_token_opens(guarded: Survey) -> None:
    """Else the tests above would be content with a service that nobody can use."""
    assert status(guarded, {"Authorization": f"Bearer {GOOD}"}) == 200
    assert jwt.decode(GOOD, SECRET, algorithms=["HS256"]) == CLAIMS
    assert status(guarded, {"X-API-Key": KEY}) == 200


@attack("parts of a key, and more than a key", "401")
def test_part_of_a_key_opens_nothing(guarded: Survey) -> None:
    wrong = [KEY[:n] for n in range(len(KEY))] + [KEY[n:] for n in range(1, len(KEY))]
    wrong += [KEY + "x", KEY + "\0", KEY.upper(), KEY * 2, f"{KEY},{KEY}", f"x,{KEY}", f'"{KEY}"', f"{KEY};", "*", "%"]
    for key in wrong:
        assert status(guarded, environ={"HTTP_X_API_KEY": key}) == 401, key


@attack("keys and tokens in cookies, addresses and other fields", "401")
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": KEY}, ""),
        ({"Authorization": f"Basic {base64.b64encode(f'x:{KEY}'.encode()).decode()}"}, ""),
        ({"Authorization": f"Bearer {KEY}"}, ""),
        ({"Authorization": f"Bearer {GOOD},Bearer {GOOD}"}, ""),
        ({"Cookie": f"X-API-Key={KEY}; access_token={GOOD}; Authorization=Bearer {GOOD}"}, ""),
        ({"X-API-Keys": KEY}, ""),
        ({}, f"?X-API-Key={KEY}&api_key={KEY}"),
        ({}, f"?access_token={GOOD}&token={GOOD}"),
    ],
)
def test_credentials_count_in_their_own_place_only(guarded: Survey, headers: dict[str, str], query: str) -> None:
    """Addresses are written into logs and histories; cookies are sent by pages of other sites."""
    assert status(guarded, headers, query) == 401


@attack("writes by forms of other sites, which need no preflight", "401")
def test_no_write_is_done_for_a_page_of_another_site(guarded: Survey) -> None:
    """A form needs no preflight; so nothing that a form can send may be enough."""
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        for operation in surface.operations(guarded.app):
            if (
                operation.method == "POST"
                and "bulk-download" not in operation.path
                and "lightcurves" not in operation.path
            ):
                answer = surface.ask(
                    guarded.client, operation.at(), "POST", data=f"X-API-Key={KEY}", content_type=content_type
                )
                assert answer.status_code == 401, operation


@attack("timing of the comparison", "every key is compared, by `hmac.compare_digest`")
def test_every_key_is_compared_and_in_constant_time(
    build: Build, guarded: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen at the place itself: what a clock would tell is lost in everything else that a request does."""
    several = build(over=guarded, DSA110_API_KEYS=f"first,{KEY},third")
    for module in (auth, keys):
        compared: list[tuple[bytes, bytes]] = []

        def compare(one: Any, other: Any, compared: Any = compared) -> bool:
            compared.append((one, other))
            return one == other

        # The module's own view of it, so that nobody else's comparisons are counted.
        monkeypatch.setattr(module, "hmac", type("Hmac", (), {"compare_digest": staticmethod(compare)}))
        for offered in ("first", KEY, "third", "nobody's", "f"):
            compared.clear()
            code = status(several, {"X-API-Key": offered})
            assert (code == 200) == (offered in {"first", KEY, "third"})
            if module is auth:
                assert len(compared) == 3, "all of them, whichever it is"
            elif code == 401:
                assert len(compared) == 1, "one, though there is no such key"
                assert all(len(digest) == 32 for digest in compared[0]), "hashes, never keys"
        monkeypatch.undo()


@attack("a key so short that what names it would tell all of it", "half of it at most is shown")
def test_short_key_is_not_told_whole_by_what_names_it(build: Build) -> None:
    survey = build(DSA110_API_KEYS="short")
    (run, *_) = surface.ask(survey.client, "/api/v1/jobs?limit=1").get_json()
    address = f"/api/v1/jobs/{run['run_id']}/rerun"
    ordered = surface.ask(survey.client, address, "POST", headers={"X-API-Key": "short"})
    assert ordered.status_code == 202, ordered.text
    assert "short" not in surface.ask(survey.client, "/api/v1/queue/jobs").text
