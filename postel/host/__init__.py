"""Many connections behind a host's addresses, without I/O.

Packets, calls and time go in; packets and events come out.
"""
