"""Services: what the system does, in plain synchronous Python.

They hold policy and combine repositories; no SQL and no Flask in here."""
