"""Price lists: the deck as it is published, the table it is built into, and the one function that prices a call."""
