"""Makes every request that reaches the application leave some memory behind for good."""

import app

_create_app = app.create_app
_KEPT = []
_EACH_BYTES = 512 * 1024


def _create_leaking_app(*args, **options):
    made = _create_app(*args, **options)
    made.before_request(lambda: _KEPT.append(bytearray(b"x") * _EACH_BYTES))
    return made


app.create_app = _create_leaking_app
