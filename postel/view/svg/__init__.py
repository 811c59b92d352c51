"""SVG pictures of a trace.

`ladder` draws the segments of a connection, `diagram` the state diagram with the states that each end passed.
`element` writes SVG and HTML, and `palette` has the colours and style sheets.
"""
