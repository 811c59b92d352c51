"""Octets to records and back, without state: addresses, checksums, IP, ICMP, UDP and TCP segments.

What a ``parse`` function returns is valid. For octets that aren't valid it raises ``WireError`` with a
``reason``, one word under which the host counts the dropped packet.
"""
