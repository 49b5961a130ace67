"""The menu: every legal, priced way to shard each table; see `menu.py`."""
