"""The shared words: columns, packet rows, ledger reasons. Imports nothing above."""
