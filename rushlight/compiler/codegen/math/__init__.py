"""Mathematical functions of Values: straight-line vector code, within 2 units in the last place."""
