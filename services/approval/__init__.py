"""Approval: gate policies, automated verdicts, reviews by people, break-glass.

It decides whether a version may move on; registry moves it.
"""
