"""A small synthetic survey on disk: FITS images, measurement sets, catalogues and logs, registered like real ones.

:mod:`survey` plans what was observed, :mod:`sky` paints it, :mod:`photometry` measures it, :mod:`records` tells what
the pipeline would have noted, and :mod:`build` puts it all into a directory. Nothing is drawn from the clock or from
chance: the same directory always gets the same bytes.
"""
