"""HTTP/1.1 (RFC 9110, RFC 9112) for the commands ``get``, ``serve`` and ``demo``.

Theory of operation
-------------------

The client side fetches one URL. `fetch` goes through the steps and notes when each began and ended, `client`
has the syntax of requests and responses, and `waterfall` draws the steps::

    DNS ─► connect ─► TLS ─► request … first octet ─► rest of the response ─► close
    dns    connect    tls    wait                     content                 close

A redirect leads to the next URL, which goes through all steps again on a new connection. A name with several
addresses is tried in their order, each but the last for 10 seconds, until one connects.

The length of a body is given by Transfer-Encoding: chunked, else by Content-Length, else by the end of the
connection (RFC 9112, 6.3). A body that is shorter than its length says is an error.

There are two servers. `application` and `site` put uvicorn and starlette on Postel's sockets for ``postel
serve``. `server` is a very small one for ``postel demo`` and ``postel get --lab``, which must run without
these packages: it answers one GET for each connection. Before it closes it reads what the client still sends,
because closing with unread data sends a RST, which can destroy the response on its way to the client (RFC
9112, 9.6).
"""
