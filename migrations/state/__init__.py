"""What ``api.sqlite3``, this service's own database, consists of: a script for each step, in the order of names.

``PRAGMA user_version`` is the number of steps that a file has behind it. A step is never changed once it was released;
what comes later is another file. :mod:`app.db.state` carries them out when a file is first opened, so there is no
command to forget.
"""
