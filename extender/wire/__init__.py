"""JSON to nouns and nouns to JSON; the wire knows nouns, it takes no decisions."""
