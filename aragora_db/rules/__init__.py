"""Pure formulas and constants: numbers in, numbers out, no SQL and no I/O."""
