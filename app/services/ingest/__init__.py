"""Ingest: what lies on disk (images, measurement sets, calibration tables, catalogues) becomes rows.

Every family works alike. Rows are prepared outside any transaction, written in batches of one short transaction each,
and matched to what is registered already, so that running it again changes nothing. One bad file or line is named in
the report with its reason and never stops the rest. What was measured or said replaces what stands in the database;
what was guessed from a name only fills gaps.
"""
