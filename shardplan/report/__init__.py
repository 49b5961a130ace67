"""Reports for people and programs.

Every report is plain data first (``..._data``: a dictionary with stable keys, ready
for JSON) and a rendering of that data second (``render_...``).
"""
