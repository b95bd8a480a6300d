"""Pictures and cut-outs of images.

:mod:`service` answers what the API asks; everything it gives is made at most once for a state of the file and kept on
disk (:mod:`disk_cache`), by a bounded number of threads at a time (:mod:`turnstile`). :mod:`planes` reads an image no
finer than the picture needs, :mod:`stretches` turns flux into brightness, :mod:`previews`, :mod:`thumbnails` and
:mod:`animations` draw, :mod:`cutouts` cuts FITS out of FITS, :mod:`headers` reads headers. :mod:`style` is what every
matplotlib figure of this service has in common, those of other rooms included.

matplotlib, Pillow, astropy and numpy are imported where they are used: a worker that never draws does without them.
Never pyplot: it keeps global state, and requests are served by threads.
"""
