"""Names to classes, signatures to schemas: what can be listed in a matrix, and with which settings.

Built-in methods, networks and datasets are found in their folders (one public file each); an installed package adds its
own through the entry-point groups ``kdbench.methods``, ``kdbench.architectures`` and ``kdbench.datasets``.
"""
