-- All of a family's values that have not ended: names and values by turns.

return living(clock())
