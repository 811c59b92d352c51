"""HTTP/1.1 (RFC 9110, RFC 9112), as much as two commands need: a server of files, and a client for one
URL.
"""
