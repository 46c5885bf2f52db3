"""A strict fake of every provider's wire: what each accepts, refuses and answers."""
