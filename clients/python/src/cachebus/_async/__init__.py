"""The client for asyncio. ``cachebus._sync`` is made from it by ``generate.py``."""
