"""Reads that cross stages: what is here, what was refused, why a document was kept, where a sample came from.

Each gives frozen values; how they look is the command line's business.
"""
