"""TCP by RFC 9293, without I/O: `Connection` is one end of one connection.

The other modules are the sections of RFC 9293, 3.10, and the companion RFCs.
"""
