"""Domain: records, and pure functions over them. No database, no files, no Flask; needs only the standard library."""
