"""The store on Storj: a native library of libuplink (``native/``), and what makes it a store.

``library`` loads it, ``binding`` calls its data plane, ``errors`` gives its codes meaning;
``store``, ``upload`` and ``download`` are the ObjectStore; ``access`` reads and narrows grants.
"""
