"""Octets to records and back, without state: addresses, checksums, IP, ICMP, UDP and TCP segments.

Whatever ``parse`` returns is valid; octets that aren't raise ``WireError``, whose ``reason`` names the
counter.
"""
