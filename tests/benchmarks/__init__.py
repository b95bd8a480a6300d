"""The benchmark: this service beside a bare WSGI callable and a bare Flask route that answer the same bytes.

``python -m tests.benchmarks`` (or ``make bench``). Not part of the test suite. What is measured stands in the modules
named after it; :mod:`tests.benchmarks.report` prints each figure beside what is required of it.
"""
