"""Schemas: what enters and what leaves, field by field. Units, time formats, bounds and omissions live here."""
