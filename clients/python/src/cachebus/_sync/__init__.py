"""The client for threads, made from ``cachebus._async`` by ``generate.py``; only ``primitives`` is written by hand."""
