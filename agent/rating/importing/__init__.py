"""Rate sheets as operators and carriers send them, read into the canonical deck.

Nothing is guessed: what can be read in two ways is refused with file, row, column, value and what to do, and what was
taken for what is reported. `choices` holds what a person decided, `fields` knows the columns of the trade, `sheet`
finds the table in a file, `codes`, `amounts` and `dates` read cells, `lines` reads a row, `offers` puts rows of one
prefix in order of time, `build` does the whole.
"""
