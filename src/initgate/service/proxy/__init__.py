"""A wall before an img2img server: what a request carries is looked at before the server sees it.

:mod:`found` and :mod:`core` do no I/O: a request goes in, and what is to be checked comes out;
verdicts go in, and the request to forward comes out, or a refusal. :mod:`driver` is around them.
"""
