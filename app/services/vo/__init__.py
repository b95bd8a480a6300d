"""The Virtual Observatory: the same sources, images and cut-outs by the protocols of the IVOA.

:mod:`service` does what is asked; :mod:`obscore` describes images by the ObsCore model, :mod:`links` says what there is
of each, :mod:`documents` and :mod:`vosi` write XML. Nothing here knows HTTP, but for the address that URLs begin with.
"""
