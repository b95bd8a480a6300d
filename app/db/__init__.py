"""The database room: the only one that opens a database file. Connections, views, transactions, change detection.

It knows SQLite and the domain's errors; it never knows what a row means to a client."""
