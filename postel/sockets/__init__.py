"""What sockets of other stacks have beside their calls: options, and `tcp_info`. Every driver takes them from here.

`table` has each option once: its names and numbers, the field of `Config` that it stands for, the unit, and whether it may change on a
living connection. `options` gets and sets them on a socket; `tcpinfo` lays a connection's status out as Linux does.
"""
