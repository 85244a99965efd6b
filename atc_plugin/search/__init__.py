"""What a search asks of one combination at a time: what may be chosen, the components there are, and judging."""
