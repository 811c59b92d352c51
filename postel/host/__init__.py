"""Many connections behind a host's addresses, sans I/O: packets, calls and time in; packets and events
out.
"""
