"""Operations that rearrange elements: views, joins, splits, repeats."""
