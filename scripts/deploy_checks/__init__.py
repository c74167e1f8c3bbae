"""The validators of the files below deploy/, one module for each field's own tool."""
