"""Sockets as programs know them, for all drivers: calls, options, names and ``tcp_info``, as Linux has them.

A driver (`postel.aio`, `postel.blocking`, `postel.trio`) adds the waiting; nothing here waits.

- `nonblocking`: the calls of a socket that never waits; `stream` for TCP, `datagram` for UDP.
- `table`: each socket option once, with its names and numbers, the field of `Config` for which it stands, the
  unit, and whether it may change on an open connection. `options` gets and sets them.
- `names`: addresses as the socket module writes them. `lookup`: ``getaddrinfo``. `questions`: DNS, for
  resolvers.
- `bindings`: ports that sockets have bound. `lingering`: connections that the program has closed, but that
  TCP hasn't ended yet.
- `preparation`: checks and settings of a new network.
- `tcpinfo`: the status of a connection in the layout of Linux's ``struct tcp_info``.
"""
