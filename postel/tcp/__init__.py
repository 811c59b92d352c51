"""RFC 9293, sans-I/O: `Connection` is one end of one connection; the other files are the sections of the
RFC.
"""
