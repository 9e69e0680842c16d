"""The training code of the demo's generations: one file each, because the digest of the file is the code's identity."""
