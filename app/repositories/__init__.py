"""Repositories: the only SQL that reads or writes rows, one class per resource, over the canonical views.

They may use db and domain; never Flask, never another service."""
