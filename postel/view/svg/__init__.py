"""SVG pictures of a trace.

`ladder` draws the segments of a connection, `diagram` the state diagram with the way that each end took.
`element` writes SVG and HTML, and `palette` has the colours and style sheets.
"""
