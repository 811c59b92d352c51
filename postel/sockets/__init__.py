"""What drivers need to have sockets as other stacks do: options, `tcp_info`, and the calls of a socket that
never waits. Every driver takes them from here.

`table` has each option once: its names and numbers, the field of `Config` that it stands for, the unit, and
whether it may change on a living connection. `options` gets and sets them on a socket; `tcpinfo` lays a
connection's status out as Linux does. `nonblocking` has the calls themselves, as a socket that never waits
makes them: `stream` for TCP, `datagram` for UDP.
"""
