"""The gate over HTTP. The only imports of web frameworks and servers."""
