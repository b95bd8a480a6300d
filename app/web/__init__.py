"""The edge toolkit: HTTP without astronomy. Errors, access, paging headers, JSON, logs, metrics."""
