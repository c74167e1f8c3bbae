"""The status page for people: one document, no request to anybody else, complete without JavaScript."""
