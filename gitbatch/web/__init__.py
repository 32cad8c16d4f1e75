"""What clients and servers of HTTP share: server-sent events, words for errors of connections."""
