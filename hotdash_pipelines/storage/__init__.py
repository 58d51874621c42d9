"""Files in a folder or a bucket, whoever they belong to.

Belongs here: stores, scratch folders. Does not belong here: what the files mean (lake, operations).
"""
