"""`temporem view`: a page of one's own machine to explore runs."""
