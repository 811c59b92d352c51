"""Page of the lab: what the experiments found, in one HTML file that loads nothing else.

>>> from postel.lab import run
>>> from postel.web import page
>>> text = page.of([run("three-way")], "en")
>>> text.count("<svg"), "https://" in text
(3, False)
"""
