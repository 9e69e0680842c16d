"""Sealed history as Parquet files on an object store or a disk: planned here, written by a process of its own, never deleted."""
