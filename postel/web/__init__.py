"""The page: what the lab found, in one file that needs nothing else.

>>> from postel.lab import run
>>> from postel.web import page
>>> text = page.of([run("three-way")], "en")
>>> text.count("<svg"), "https://" in text
(3, False)
"""
