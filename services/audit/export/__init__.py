"""Export the sealed log as Parquet files to an object store or a disk.

A process of its own writes them; nothing deletes them.
"""
