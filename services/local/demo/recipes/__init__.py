"""The training code of the demo's generations.

One file each, because the digest of the file identifies the code.
"""
